"""The components' benchmark follows the code it measures: each part runs, and the whole way answers."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks.parts import ROWS, parts
from benchmarks.passage import Passage
from benchmarks.workload import mlp
from serving.inference import VersionKey
from serving.runtime.loaded_model import LoadedModel
from serving.runtime.source import ModelSource


def test_every_part_runs(tmp_path: Path) -> None:
    with ExitStack() as closing:
        names = []
        for part in parts(tmp_path, mlp(tmp_path, count=ROWS), closing):
            part.action()
            names.append((part.name, part.note))
    assert len(set(names)) == len(names)


def test_an_answer_that_is_no_prediction_is_not_timed(tmp_path: Path) -> None:
    mlp(tmp_path, count=1)
    model = LoadedModel.open(ModelSource(VersionKey("mlp", 1), tmp_path / "mlp" / "1" / "model.onnx"))
    passage = Passage(model.hosted, model.run, [b"{}"])
    try:
        with pytest.raises(RuntimeError, match="not a prediction"):
            passage.several()
    finally:
        passage.close()
