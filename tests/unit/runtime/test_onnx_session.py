"""A session answers what onnxruntime answers, and its errors are ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from serving.errors import ModelFailed, ModelUnservable
from serving.inference import VersionKey
from serving.runtime.loaded_model import LoadedModel, ModelSource
from serving.runtime.onnx_session import Interrupt, OnnxSession
from serving.runtime.options import RuntimeOptions
from serving.runtime.samples import made_up
from serving.testing import models


# onnxruntime takes and gives no arrays of bfloat16: see test_bfloat16.py.
@pytest.mark.parametrize("name", models.ZOO.keys() - {"echo-bfloat16"})
def test_every_model_of_the_zoo_answers_as_onnxruntime_fed_directly(name: str, tmp_path: Path) -> None:
    path = models.save(tmp_path, name, 1, models.ZOO[name]())
    session = OnnxSession.open(path)
    direct = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [value.name for value in direct.get_inputs()]
    answered = 0
    for sample in next(iter(made_up(session.signature)))[1]:
        try:
            expected = direct.run(None, dict(zip(names, sample, strict=True)))
        except Exception:  # noqa: BLE001 - whatever onnxruntime raises, a session has to raise too
            with pytest.raises(ModelFailed):
                session.run(sample)
            continue
        answered += 1
        for ours, theirs in zip(session.run(sample), expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert answered > 1


def test_what_the_model_raises_is_told_in_one_line_without_foreign_sources(tmp_path: Path) -> None:
    session = OnnxSession.open(models.save(tmp_path, "embedding", 3, models.embedding()))
    with pytest.raises(ModelFailed) as raised:
        session.run([np.array([[1, 2, 9]])])
    message = raised.value.message
    assert message.startswith("model embedding/3 failed: ")
    assert "idx=9" in message
    assert "\n" not in message
    assert "onnxruntime_src" not in message


def test_a_run_ends_early_when_it_is_interrupted(tmp_path: Path) -> None:
    session = OnnxSession.open(models.save(tmp_path, "slow", 1, models.slow(rounds=1_000_000)))
    interrupt = Interrupt()
    interrupt.fire()
    with pytest.raises(ModelFailed, match="terminate"):
        session.run([np.zeros((1, 4), np.float32)], interrupt)


def test_options_reach_the_session_and_change_no_answer(tmp_path: Path) -> None:
    path = models.save(tmp_path, "mlp", 1, models.mlp())
    row = [np.ones((3, 32), np.float32)]
    plain = OnnxSession.open(path).run(row)[0]
    options = RuntimeOptions(intra_op_threads=2, inter_op_threads=2, spinning=True, graph_optimisation="off")
    np.testing.assert_allclose(OnnxSession.open(path, options).run(row)[0], plain, rtol=1e-5)


def test_a_loaded_model_refuses_a_short_answer(tmp_path: Path) -> None:
    path = models.save(tmp_path, "short", 1, models.short_answer())
    loaded = LoadedModel.open(ModelSource(VersionKey("short", 1), path))
    assert loaded.hosted.batchable
    from serving.inference import Tensor

    data = np.array([[1, 2], [1e6, 0], [3, 4]], np.float32).tobytes()
    with pytest.raises(ModelFailed, match=r"answered 3 rows with output 'y' of shape \[2, 2\]"):
        loaded.run([Tensor("x", "FP32", (3, 2), data)], 3)


def test_a_file_that_is_missing_is_unservable(tmp_path: Path) -> None:
    with pytest.raises(ModelUnservable, match=r"model\.onnx: cannot be read"):
        OnnxSession.open(tmp_path / "model.onnx")
