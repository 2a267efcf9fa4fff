"""Each kind of bad model is refused with the file, what is wrong, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.errors import ModelUnservable
from serving.runtime.onnx_session import OnnxSession
from serving.runtime.options import RuntimeOptions
from serving.testing import models
from serving.testing.bad_models import BAD

EXPECTED = {
    "truncated": ("the file is cut off (a field needs", "copy it again"),
    "not-onnx": ("this is not an ONNX model", "export it again"),
    "empty": ("the file is empty", "copy it again"),
    "lfs-pointer": ("a Git LFS pointer", "run git lfs pull"),
    "missing-weights": ("weights 'w1' are in 'weights.bin', which does not exist", "copy it beside the model"),
    "escaping-weights": ("weights 'w1' are in '../../outside.bin', outside", "beside the model"),
    "absolute-weights": ("outside the version's folder", "beside the model"),
    "linked-weights": ("weights 'w1' are in 'weights.bin', outside", "beside the model"),
    "short-weights": ("which has 100 bytes where 8192 are needed", "copy it again"),
    "unknown-opset": ("needs opset 99 of ai.onnx", "export with opset"),
    "unknown-format": ("(IR version 99) is newer", "install a newer onnxruntime"),
    "unknown-operator": ("operator Frobnicate does not exist in opset 17", "custom_op_libraries"),
    "custom-operator": ("operator Frobnicate of domain com.acme is not known", "custom_op_libraries"),
    "sequence-output": ("output 'y' is seq(tensor(float))", "ConcatFromSequence"),
    "map-output": ("output 'y' is seq(map(int64,tensor(float)))", "export without ZipMap"),
    "optional-input": ("input 'x' is optional(tensor(float))", "without the optional"),
    "float8": ("is tensor(float8e4m3fn)", "put a Cast"),
    "unranked-input": ("input 'x' declares no shape", "export it with one"),
    "no-inputs": ("the graph has no input", "export it with at least one"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_model_is_refused_with_file_reason_and_remedy(name: str, tmp_path: Path) -> None:
    path = BAD[name](tmp_path, name)
    with pytest.raises(ModelUnservable) as raised:
        OnnxSession.open(path)
    message = raised.value.message
    what, remedy = EXPECTED[name]
    assert message.startswith(f"{path}: ")
    assert what in message.rpartition("; ")[0]
    assert remedy in message.rpartition("; ")[2]
    assert "\n" not in message


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_model_that_is_cut_anywhere_is_refused(cut: int, tmp_path: Path) -> None:
    path = models.save(tmp_path, "m", 1, models.mlp())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * cut // 60])
    with pytest.raises(ModelUnservable, match=r"model\.onnx: "):
        OnnxSession.open(path)


@pytest.mark.parametrize("location", ["weights.bin", "deep/er/weights.bin", "./weights.bin"])
def test_weights_beside_the_model_work(location: str, tmp_path: Path) -> None:
    path = models.save_with_weights_beside(tmp_path, "m", 1, location)
    assert OnnxSession.open(path).signature.inputs[0].shape == (-1, 32)


def test_a_link_to_the_whole_version_is_followed(tmp_path: Path) -> None:
    path = models.save_with_weights_beside(tmp_path / "store", "m", 1)
    (tmp_path / "repository/m").mkdir(parents=True)
    (tmp_path / "repository/m/1").symlink_to(path.parent)
    OnnxSession.open(tmp_path / "repository/m/1/model.onnx")


def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelUnservable, match="cannot be read"):
        OnnxSession.open(tmp_path)


@pytest.mark.parametrize(
    ("library", "expected"),
    [
        ("../../outside.so", "is not inside"),
        ("/lib/outside.so", "is not inside"),
        ("link.so", "is not inside"),
        ("gone.so", "does not exist; copy it there"),
        ("text.so", "cannot be loaded"),
    ],
)
def test_a_custom_operator_library_has_to_be_a_library_inside_the_models_folder(
    library: str, expected: str, tmp_path: Path
) -> None:
    path = models.save(tmp_path / "repository", "m", 1, models.mlp())
    (tmp_path / "outside.so").touch()
    (tmp_path / "repository/m/link.so").symlink_to(tmp_path / "outside.so")
    (tmp_path / "repository/m/text.so").write_text("no library")
    with pytest.raises(ModelUnservable, match=expected) as raised:
        OnnxSession.open(path, RuntimeOptions(custom_op_libraries=(library,)))
    assert raised.value.message.startswith(f"{path}: custom operator library")
