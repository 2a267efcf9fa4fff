"""Rows may run together only if it was seen that they get the same answers as alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest

from serving.errors import ModelUnservable
from serving.inference import TensorSpec
from serving.runtime.onnx_session import OnnxSession
from serving.runtime.row_equality import same
from serving.runtime.tensor_arrays import Array
from serving.runtime.warmup import WarmUp, warm_up
from serving.testing import models

NOTES = {
    "mlp": "",
    "doubler": "",
    "scalar": "input 'x' is a single value",
    "fixed-batch": "input 'x' fixes its first dimension to 4",
    "centred": "row 0 gets another 'y' alone than among 6 rows",
    "running-sum": "row 1 gets another 'y' alone than among 6 rows",
    "lightgbm-like": "",
    "echo-strings": "",
    "echo-bool": "",
    "echo-int64": "",
    "echo-double": "",
    "echo-half": "",
    "echo-bfloat16": "",
    "echo-uint8": "",
    "word-lookup": "all warm-up rows got the same answer",
    "several": "",
    "embedding": "",
    "raises-on-13": "",
    "short-answer": "",
    "slow": "",
    "open-length": "",
    "constant": "all warm-up rows got the same answer",
    "total": "output 'y' has shape [] for 1 row",
    "unranked-output": "",
    "with-default": "",
    "divides": "",
}


def warmed(tmp_path: Path, proto: onnx.ModelProto, samples: Sequence[Mapping[str, object]] = ()) -> WarmUp:
    return warm_up(OnnxSession.open(models.save(tmp_path, "m", 1, proto)), samples)


@pytest.mark.parametrize("name", models.ZOO)
def test_exactly_the_models_whose_rows_are_independent_are_batchable(name: str, tmp_path: Path) -> None:
    found = warmed(tmp_path, models.ZOO[name]())
    assert found.note.startswith(NOTES[name])
    assert found.batchable == (NOTES[name] == "")
    assert found.run_s > 0


def test_the_shape_of_a_label_declared_as_one_is_corrected(tmp_path: Path) -> None:
    assert warmed(tmp_path, models.lightgbm_like()).signature.outputs == (
        TensorSpec("label", "INT64", (-1,)),
        TensorSpec("probabilities", "FP32", (-1, 2)),
    )


def test_a_shape_that_is_not_declared_is_taken_from_the_answer(tmp_path: Path) -> None:
    assert warmed(tmp_path, models.unranked_output()).signature.outputs[0].shape == (-1, 2)
    assert warmed(tmp_path, models.total()).signature.outputs[0].shape == ()
    assert warmed(tmp_path, models.fixed_batch()).signature.outputs[0].shape == (4, 3)


def test_an_owners_samples_prove_what_made_up_ones_cannot(tmp_path: Path) -> None:
    samples = [{"word": ["JFK"]}, {"word": ["LGA"]}, {"word": ["nowhere"]}]
    assert warmed(tmp_path, models.word_lookup(), samples).batchable


def test_one_sample_is_topped_up_with_made_up_rows(tmp_path: Path) -> None:
    assert warmed(tmp_path, models.doubler(), [{"x": [1, 2, 3, 4]}]).batchable


def test_a_sample_of_several_rows_is_taken_apart(tmp_path: Path) -> None:
    assert warmed(tmp_path, models.word_lookup(), [{"word": [["JFK"], ["LGA"]]}]).batchable


def test_a_whole_request_is_a_sample_where_rows_are_no_matter(tmp_path: Path) -> None:
    assert warmed(tmp_path, models.fixed_batch(), [{"x": [[1, 2, 3]] * 4}]).run_s > 0
    assert warmed(tmp_path, models.scalar(), [{"x": 5}]).run_s > 0


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        ({"y": [1]}, r"samples\[1\] gives \['y'\]; give one value for each input: \['ids'\]"),
        ({}, r"samples\[1\] gives \[\]"),
        ({"ids": [1, 2]}, r"samples\[1\]\.ids has shape \[1, 2\] where the model takes \[-1, 3\]"),
        ({"ids": 1}, r"has shape \[\] where"),
        ({"ids": ["a", "b", "c"]}, r"samples\[1\]\.ids is not INT64 of shape \[-1, 3\]"),
        ({"ids": [1, 2, 2**70]}, "is not INT64"),
        ({"ids": [1, [2], 3]}, "is not INT64"),
        ({"ids": [1, 2, 99]}, r"row 1 of samples was refused .*idx=99"),
    ],
)
def test_a_sample_that_does_not_fit_makes_the_version_unservable(
    sample: Mapping[str, object], expected: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelUnservable, match=expected):
        warmed(tmp_path, models.embedding(), [{"ids": [0, 1, 2]}, sample])


def test_rows_are_run_one_by_one_where_no_made_up_input_is_accepted(tmp_path: Path) -> None:
    found = warmed(tmp_path, refuses_everything())
    assert not found.batchable
    assert found.note.startswith("no made-up warm-up input was accepted (model")
    assert found.run_s == 0.0


def test_a_batch_that_fails_where_its_rows_do_not_is_no_proof(tmp_path: Path) -> None:
    found = warmed(tmp_path, one_row_inside())
    assert found.note.startswith("rows that run alone fail together (model")


def test_a_model_that_answers_differently_each_time_proves_nothing(tmp_path: Path) -> None:
    noise = models.graph_of(
        [models.node("RandomNormalLike", ["x"], ["noise"]), models.node("Add", ["x", "noise"], ["y"])],
        [models.value("x", models.FLOAT, ["n", 2])],
        [models.value("y", models.FLOAT, ["n", 2])],
    )
    assert warmed(tmp_path, noise).note.startswith("the same row got different answers")


@pytest.mark.parametrize(("operator", "rows"), [("Greater", 40), ("Equal", 2), ("Equal", 6)])
def test_a_model_that_mixes_rows_in_batches_of_some_size_only_is_found(
    operator: str, rows: int, tmp_path: Path
) -> None:
    assert warmed(tmp_path, mixes_where(operator, rows)).note.startswith("row ")


def test_the_measured_time_is_the_median_of_warm_runs(tmp_path: Path) -> None:
    ticks = iter(range(10_000))
    session = OnnxSession.open(models.save(tmp_path, "m", 1, models.doubler()))
    assert warm_up(session, (), lambda: next(ticks) * 0.5).run_s == 0.5


def test_floats_are_equal_within_the_stated_tolerance_of_their_largest_neighbour() -> None:
    assert same("FP32", np.array([1000.0, 0.1], np.float32), np.array([1000.1, 0.2], np.float32))
    assert not same("FP32", np.array([1000.0, 0.1], np.float32), np.array([1000.2, 0.1], np.float32))
    assert same("FP32", np.array([np.nan, np.inf], np.float32), np.array([np.nan, np.inf], np.float32))
    assert not same("FP32", np.array([np.nan], np.float32), np.array([0], np.float32))
    assert not same("FP32", np.array([np.inf], np.float32), np.array([-np.inf], np.float32))
    assert not same("FP32", np.array([1, 2], np.float32), np.array([1], np.float32))


def test_whole_numbers_and_text_have_to_be_equal() -> None:
    assert not same("INT64", np.array([10**9]), np.array([10**9 + 1]))
    assert not same("BYTES", np.array(["a"], object), np.array(["b"], object))
    assert same("BYTES", np.array(["a"], object), np.array(["a"], object))


def refuses_everything() -> onnx.ModelProto:
    """An id of 1,000 or more is wanted."""
    return models.graph_of(
        [
            models.node("Sub", ["ids", "thousand"], ["index"]),
            models.node("Gather", ["table", "index"], ["y"]),
        ],
        [models.value("ids", models.INT64, ["n"])],
        [models.value("y", models.FLOAT, ["n"])],
        {"thousand": np.array([1000]), "table": np.zeros(3, np.float32)},
    )


def one_row_inside() -> onnx.ModelProto:
    """Declares any number of rows and reshapes to one."""
    return models.graph_of(
        [models.node("Reshape", ["x", "shape"], ["y"])],
        [models.value("x", models.FLOAT, ["n", 2])],
        [models.value("y", models.FLOAT, ["n", 2])],
        {"shape": np.array([1, 2])},
    )


def mixes_where(operator: str, rows: int) -> onnx.ModelProto:
    """Y = x, or x plus the mean over the rows where their number compares so with `rows`."""
    nodes = [
        models.node("Shape", ["x"], ["shape"], start=0, end=1),
        models.node(operator, ["shape", "rows"], ["many"]),
        models.node("ReduceMean", ["x"], ["mean"], axes=[0], keepdims=1),
        models.node("Where", ["many", "mean", "zero"], ["added"]),
        models.node("Add", ["x", "added"], ["y"]),
    ]
    return models.graph_of(
        nodes,
        [models.value("x", models.FLOAT, ["n", 2])],
        [models.value("y", models.FLOAT, ["n", 2])],
        {"rows": np.array([rows]), "zero": np.float32(0)},
    )


@pytest.mark.parametrize("given", [0, 1])
def test_a_model_whose_rows_cannot_run_together_is_asked_one_input_and_the_owners_where_there_is_one(
    given: int, tmp_path: Path
) -> None:
    session = OnnxSession.open(models.save(tmp_path, "m", 1, models.fixed_batch()))
    seen: list[bytes] = []

    class Watched:
        signature = session.signature

        def run(self, arrays: Sequence[Array]) -> list[Array]:
            seen.append(arrays[0].tobytes())
            return session.run(arrays)

    sample = np.arange(12, dtype=np.float32).reshape(4, 3)
    warm_up(Watched(), [{"x": sample.tolist()}] * given)  # type: ignore[arg-type]
    assert len(set(seen)) == 1
    assert len(seen) > 1
    assert (seen[0] == sample.tobytes()) == bool(given)
