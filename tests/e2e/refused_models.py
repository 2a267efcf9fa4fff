"""Versions that cannot be served, in a repository beside good ones, and what has to be said about each."""

from __future__ import annotations

from pathlib import Path

from serving.testing.bad_models import BAD, unknown_operator
from serving.testing.models import doubler, save

# Of each: the file that is wrong, what is wrong with it, what to do. Beside a truncated `good/3` there are `good/1` and
# `good/2`, beside `half/2`, which is found out only when it is loaded, there is `half/1`.
SAID = {
    "truncated/1": ("truncated/1/model.onnx", "cut off", "copy it again"),
    "good/3": ("good/3/model.onnx", "cut off", "copy it again"),
    "half/2": ("half/2/model.onnx", "Frobnicate does not exist in opset 17", "export with the opset that has it"),
    "not-onnx/1": ("not-onnx/1/model.onnx", "not an ONNX model", "export it again"),
    "empty/1": ("empty/1/model.onnx", "empty", "copy it again"),
    "lfs-pointer/1": ("lfs-pointer/1/model.onnx", "Git LFS pointer", "git lfs pull"),
    "missing-weights/1": ("missing-weights/1/model.onnx", "'weights.bin', which does not exist", "copy it beside"),
    "short-weights/1": ("short-weights/1/model.onnx", "100 bytes where 8192 are needed", "copy it again"),
    "escaping-weights/1": ("escaping-weights/1/model.onnx", "'../../outside.bin', outside", "beside the model"),
    "absolute-weights/1": ("absolute-weights/1/model.onnx", "outside the version's folder", "beside the model"),
    "linked-weights/1": ("linked-weights/1/model.onnx", "outside the version's folder", "beside the model"),
    "unknown-opset/1": ("unknown-opset/1/model.onnx", "needs opset 99", "export with opset"),
    "unknown-format/1": ("unknown-format/1/model.onnx", "IR version 99", "export with an older onnx"),
    "unknown-operator/1": ("unknown-operator/1/model.onnx", "Frobnicate", "export with the opset that has it"),
    "custom-operator/1": ("custom-operator/1/model.onnx", "domain com.acme", "custom_op_libraries"),
    "sequence-output/1": ("sequence-output/1/model.onnx", "output 'y' is seq(", "ConcatFromSequence"),
    "map-output/1": ("map-output/1/model.onnx", "output 'y' is seq(map(", "without ZipMap"),
    "optional-input/1": ("optional-input/1/model.onnx", "input 'x' is optional(", "without the optional"),
    "float8/1": ("float8/1/model.onnx", "float8", "Cast to float"),
    "unranked-input/1": ("unranked-input/1/model.onnx", "input 'x' declares no shape", "export it with one"),
    "no-inputs/1": ("no-inputs/1/model.onnx", "no input", "at least one"),
    "nofile/1": ("nofile/1", "no file model.onnx", "put model.onnx there"),
    "named/None": ("named/v1", "'v1' is no version", "rename the folder to a whole number"),
    "keys/None": ("keys/model.yaml", "line 2: unknown key 'treshold'", "did you mean 'threshold'"),
    "broken-yaml/None": ("broken-yaml/model.yaml", "line 2", "correct the file"),
}
# What is left of the models that have both good versions and bad ones.
BESIDE = ("good/1", "good/2", "half/1")


def write_refused(root: Path) -> None:
    """Put all of them into the repository."""
    for name, write in BAD.items():
        write(root, name)
    for version in (1, 2, 3):
        save(root, "good", version, doubler())
    cut = root / "good" / "3" / "model.onnx"
    cut.write_bytes(cut.read_bytes()[:50])
    unknown_operator(root, "half").parent.rename(root / "half" / "2")
    for name in ("half", "nofile", "named", "keys", "broken-yaml"):
        save(root, name, 1, doubler())
    (root / "nofile" / "1" / "model.onnx").unlink()
    (root / "named" / "1").rename(root / "named" / "v1")
    (root / "keys" / "model.yaml").write_text("score: y\ntreshold: 0.5\n")
    (root / "broken-yaml" / "model.yaml").write_text("score: [y\n")
