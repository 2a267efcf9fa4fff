"""The benchmark's model and the requests made for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson

from benchmarks.model import model_bytes
from benchmarks.workload import gbdt, mlp


def test_the_model_is_the_same_every_time() -> None:
    assert model_bytes() == model_bytes()


def test_a_body_holds_the_row_that_the_expected_answer_is_for(tmp_path: Path) -> None:
    workload = mlp(tmp_path, count=4)
    tensor = orjson.loads(workload.body(2))["inputs"][0]
    assert tensor["shape"] == [1, 32]
    assert np.array_equal(np.array(tensor["data"], dtype=np.float32), workload.rows[2])
    assert workload.path == "/v2/models/mlp/infer"
    assert [values.shape for values in workload.expected] == [(4, 2)]


def test_rows_have_different_answers_so_that_swapped_ones_are_seen(tmp_path: Path) -> None:
    answers = mlp(tmp_path).expected[0].astype(np.float64)
    distances = np.abs(answers[:, None] - answers[None]).max(axis=2) + np.eye(len(answers))
    assert distances.min() > 1e-3


def test_trees_tell_most_rows_apart_and_are_the_same_every_time(tmp_path: Path) -> None:
    first, second = gbdt(tmp_path / "a"), gbdt(tmp_path / "b")
    answers = first.expected[0].ravel()
    assert np.array_equal(answers, second.expected[0].ravel())
    assert len(np.unique(answers)) == len(answers)
    assert first.expected[0].shape == (200, 1)
