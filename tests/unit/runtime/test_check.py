"""A repository is checked in a process of its own, which may crash or hang without harm."""

from __future__ import annotations

import platform
from pathlib import Path

import psutil
import pytest

from serving.errors import ConfigInvalid, ModelUnservable
from serving.inference import Signature, TensorSpec, VersionKey
from serving.registry.manifest import Manifest
from serving.registry.repository import Repository
from serving.runtime.check import check
from serving.runtime.inspector import Inspector
from serving.runtime.loaded_model import LoadedModel
from serving.runtime.manifest_fit import misfit
from serving.runtime.options import RuntimeOptions
from serving.runtime.source import ModelSource, dump_source, load_source, source_of
from serving.testing import models
from serving.testing.bad_models import BAD, crashes_when_loaded, never_ready


def source(path: Path) -> ModelSource:
    return ModelSource(VersionKey(path.parent.parent.name, 1), path)


def test_every_version_has_a_finding_that_says_how_it_is_served_or_what_to_do(tmp_path: Path) -> None:
    models.save(tmp_path, "good", 2, models.mlp())
    models.save(tmp_path, "named", 1, models.lightgbm_like())
    (tmp_path / "named/model.yaml").write_text("score: probability")
    BAD["truncated"](tmp_path, "truncated")
    models.save(tmp_path, "lone", 1, models.scalar()).rename(tmp_path / "lone/1/net.onnx")
    found = {finding.model: finding for finding in check(tmp_path)}
    good = found["good"]
    assert good.ok
    assert good.version == 2
    assert good.hosted is not None
    assert good.hosted.batchable
    assert good.hosted.signature.inputs == (TensorSpec("input", "FP32", (-1, 32)),)
    assert found["truncated"].what.startswith(f"{tmp_path}/truncated/1/model.onnx: the file is cut off")
    assert found["truncated"].remedy == "copy it again"
    assert found["lone"].text.endswith("there is no file model.onnx; rename net.onnx to model.onnx")
    assert found["named"].text == (
        f"{tmp_path}/named/model.yaml: score is 'probability', which is no output; choose one of label, probabilities"
    )


def test_a_repository_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid):
        list(check(tmp_path / "missing"))


def test_a_version_is_tried_behind_whatever_answers_meanwhile(tmp_path: Path) -> None:
    with Inspector() as inspector:
        inspector.inspect(source(models.save(tmp_path, "good", 1, models.mlp())))
        tried = [one.nice() for one in psutil.Process().children() if "serving.runtime.inspection" in one.cmdline()]
    assert tried
    assert min(tried) > psutil.Process().nice()


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="other processors divide without a signal")
def test_a_version_that_crashes_is_refused_and_the_next_one_inspected(tmp_path: Path) -> None:
    with Inspector() as inspector:
        with pytest.raises(ModelUnservable, match=r"loading it ended its process \(signal SIGFPE\)"):
            inspector.inspect(source(crashes_when_loaded(tmp_path, "crash")))
        assert inspector.inspect(source(models.save(tmp_path, "good", 1, models.mlp()))).batchable


def test_a_version_that_is_never_ready_is_refused_in_time(tmp_path: Path) -> None:
    with Inspector(timeout_s=1) as inspector, pytest.raises(ModelUnservable, match="it is not ready after 1 s"):
        inspector.inspect(source(never_ready(tmp_path, "slow")))


def test_what_is_found_apart_is_what_is_found_here(tmp_path: Path) -> None:
    path = models.save(tmp_path, "m", 1, models.lightgbm_like())
    with Inspector() as inspector:
        apart = inspector.inspect(source(path))
    here = LoadedModel.open(source(path)).hosted
    assert (apart.key, apart.signature, apart.batchable, apart.note) == (
        here.key,
        here.signature,
        here.batchable,
        here.note,
    )


def test_a_source_survives_the_way_to_another_process(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m/model.yaml").write_text(
        "samples: [{x: [[1, 2.5], [é, true]]}]\nbatching: never\nmax_rows: 7\n"
        "onnxruntime: {intra_op_threads: 3, spinning: true, graph_optimisation: off, custom_op_libraries: [a.so]}"
    )
    models.save(tmp_path, "m", 1, models.mlp())
    (version,) = Repository(tmp_path).listing().versions
    made = source_of(version)
    assert made.options == RuntimeOptions(3, 1, True, "off", ("a.so",))
    assert (made.batching, made.max_rows, made.samples) == ("never", 7, ({"x": [[1, 2.5], ["é", True]]},))
    assert load_source(dump_source(made)) == made


SIGNATURE = Signature(
    (TensorSpec("a", "FP32", (-1, 2)), TensorSpec("b", "FP32", (-1,))), (TensorSpec("y", "FP32", (-1, 3)),)
)


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        ({}, ""),
        ({"score": "y", "score_index": 2, "inputs": [{"name": "a", "features": ["f", "g"]}]}, ""),
        ({"inputs": [{"name": "b", "features": ["f"]}]}, ""),
        ({"score": "z"}, "score is 'z', which is no output; choose one of y"),
        ({"score": "y", "score_index": 3}, "score_index is 3, but output 'y' has 3 columns; choose 0 to 2"),
        ({"inputs": [{"name": "c", "features": ["f"]}]}, "inputs names 'c', which is no input; choose one of a, b"),
        (
            {"inputs": [{"name": "a", "features": ["f"]}]},
            "inputs gives 1 features for 'a'; name 2, one for each column",
        ),
        ({"inputs": [{"name": "b", "features": ["f", "g"]}]}, "inputs gives 2 features for 'b'; name 1"),
    ],
)
def test_a_manifest_has_to_speak_of_inputs_and_outputs_that_exist(manifest: dict[str, object], expected: str) -> None:
    found = misfit(Manifest.model_validate(manifest), SIGNATURE)
    assert found.startswith(expected)
    assert bool(found) == bool(expected)
