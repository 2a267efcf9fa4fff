"""A loaded version answers batches, and says how it may be run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from serving.errors import ModelFailed
from serving.inference import Stacked, Tensor, VersionKey
from serving.runtime.loaded_model import LoadedModel
from serving.runtime.source import Batching, ModelSource
from serving.testing import models


def opened(tmp_path: Path, name: str, batching: Batching = "proven", max_rows: int = 0) -> LoadedModel:
    path = models.save(tmp_path, name, 1, models.ZOO[name]())
    return LoadedModel.open(ModelSource(VersionKey(name, 1), path, batching=batching, max_rows=max_rows))


def test_rows_of_several_parts_are_one_batch(tmp_path: Path) -> None:
    parts = [np.full((1, 4), n, np.float32).tobytes() for n in range(3)]
    (answer,) = opened(tmp_path, "doubler").run([Stacked("x", "FP32", (3, 4), [*parts])], 3)
    assert (answer.name, answer.datatype, answer.shape) == ("y", "FP32", (3, 4))
    assert np.frombuffer(answer.data, np.float32).reshape(3, 4)[:, 0].tolist() == [0, 2, 4]


def test_a_label_declared_as_one_has_an_entry_for_each_row(tmp_path: Path) -> None:
    data = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    label, probabilities = opened(tmp_path, "lightgbm-like").run([Tensor("input", "FP32", (5, 4), data.tobytes())], 5)
    assert (label.shape, probabilities.shape) == ((5,), (5, 2))
    assert np.frombuffer(label.data, np.int64).tolist() == (
        np.frombuffer(probabilities.data, np.float32).reshape(5, 2).argmax(axis=1).tolist()
    )


@pytest.mark.parametrize("name", ["scalar", "fixed-batch", "centred", "total"])
def test_a_version_whose_rows_cannot_run_together_gets_its_request_as_it_is(name: str, tmp_path: Path) -> None:
    loaded = opened(tmp_path, name)
    assert not loaded.hosted.batchable
    shape = {"scalar": (), "fixed-batch": (4, 3), "centred": (7, 3), "total": (5, 2)}[name]
    array = np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)
    (answer,) = loaded.run([Tensor("x", "FP32", shape, array.tobytes())], 0)
    expected: dict[str, Callable[[NDArray[np.float32]], Any]] = {
        "scalar": lambda x: x + 1,
        "fixed-batch": lambda x: x.cumsum(axis=0),
        "centred": lambda x: x - x.mean(axis=0),
        "total": np.sum,
    }
    np.testing.assert_allclose(np.frombuffer(answer.data, np.float32), np.ravel(expected[name](array)), rtol=1e-6)


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_an_answer_with_fewer_rows_fails_the_batch_whichever_rows_are_missing(missing: int, tmp_path: Path) -> None:
    rows = np.ones((3, 2), np.float32)
    rows[:missing, 0] = 1e6
    with pytest.raises(ModelFailed, match=r"short-answer/1 answered 3 rows with output 'y' of shape"):
        opened(tmp_path, "short-answer").run([Tensor("x", "FP32", (3, 2), rows.tobytes())], 3)


def test_a_single_value_is_no_answer_to_rows(tmp_path: Path) -> None:
    loaded = opened(tmp_path, "total", "forced")
    with pytest.raises(ModelFailed, match=r"answered 2 rows with output 'y' of shape \[\]"):
        loaded.run([Tensor("x", "FP32", (2, 2), bytes(16))], 2)


def test_the_owner_can_forbid_batching_and_force_it_where_rows_can_be_joined(tmp_path: Path) -> None:
    assert opened(tmp_path, "doubler", "never").hosted.note == "model.yaml says batching: never"
    assert not opened(tmp_path, "doubler", "never").hosted.batchable
    forced = opened(tmp_path, "constant", "forced").hosted
    assert forced.batchable
    assert forced.note.startswith("model.yaml says batching: forced, but all warm-up rows got the same answer")
    assert not opened(tmp_path, "fixed-batch", "forced").hosted.batchable


def test_the_facts_carry_the_owners_bound(tmp_path: Path) -> None:
    hosted = opened(tmp_path, "doubler", max_rows=16).hosted
    assert (hosted.key, hosted.max_rows) == (VersionKey("doubler", 1), 16)
    assert hosted.run_s > 0
