"""bfloat16 is rounded as it should be, goes through a model bit by bit, and its rows are compared as numbers."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from serving.errors import ModelUnservable
from serving.inference import Tensor, TensorSpec
from serving.runtime.bfloat16 import bits_of, values_of
from serving.runtime.onnx_session import OnnxSession
from serving.runtime.row_equality import same
from serving.runtime.tensor_arrays import as_arrays, as_tensors
from serving.runtime.warmup import warm_up
from serving.testing.models import STRING, echo, graph_of, node, save, value

BRAIN = 16
EVERY = np.arange(2**16, dtype=np.uint16)


def test_values_are_rounded_to_the_nearest() -> None:
    # Any bits of a float32: infinities, values too small to be normal, not-a-numbers of all kinds.
    floats = np.random.default_rng(0).integers(0, 2**32, 200_000, np.uint64).astype(np.uint32).view(np.float32)
    with np.errstate(invalid="ignore"):
        expected = floats.astype(ml_dtypes.bfloat16)
    given = bits_of(floats).view(ml_dtypes.bfloat16)
    numbers = ~np.isnan(floats)
    np.testing.assert_array_equal(given[numbers].view(np.uint16), expected[numbers].view(np.uint16))
    assert np.isnan(values_of(given.view(np.uint16))[~numbers]).all()


def test_every_bfloat16_stands_for_its_value_and_back() -> None:
    values = values_of(EVERY)
    np.testing.assert_array_equal(values, EVERY.view(ml_dtypes.bfloat16).astype(np.float32))
    numbers = ~np.isnan(values)
    np.testing.assert_array_equal(bits_of(values)[numbers], EVERY[numbers])
    assert values_of(bits_of(np.array(2.5, np.float32))).shape == ()


def test_all_bits_go_through_a_model_as_they_are(tmp_path: Path) -> None:
    session = OnnxSession.open(save(tmp_path, "m", 1, echo(BRAIN)))
    for data, rows in ((EVERY.tobytes(), 2**15), (b"", 0)):
        arrays = session.run(as_arrays([Tensor("x", "BF16", (rows, 2), data)]))
        (answer,) = as_tensors(arrays, [TensorSpec("y", "BF16", (-1, 2))])
        assert (answer.datatype, answer.shape, bytes(answer.data)) == ("BF16", (rows, 2), data)


def test_rows_of_bfloat16_may_run_together(tmp_path: Path) -> None:
    assert warm_up(OnnxSession.open(save(tmp_path, "m", 1, echo(BRAIN)))).batchable


def test_a_sample_of_the_owners_is_numbers(tmp_path: Path) -> None:
    session = OnnxSession.open(save(tmp_path, "m", 1, echo(BRAIN)))
    assert warm_up(session, [{"x": [0.5, -2.0]}]).batchable
    with pytest.raises(ModelUnservable, match="is not BF16"):
        warm_up(session, [{"x": ["a", "b"]}])


def test_answers_that_differ_by_a_rounding_are_the_same_and_others_are_not() -> None:
    one, next_to_it, two = (bits_of(np.array([number], np.float32)) for number in (1.0, 1.0078125, 2.0))
    assert same("BF16", one, next_to_it)
    assert not same("BF16", one, two)


def test_text_beside_bfloat16_is_refused_with_what_to_do(tmp_path: Path) -> None:
    ends = {"x": BRAIN, "t": STRING}
    proto = graph_of(
        [node("Identity", [name], [f"{name}2"]) for name in ends],
        [value(name, kind, ["n", 2]) for name, kind in ends.items()],
        [value(f"{name}2", kind, ["n", 2]) for name, kind in ends.items()],
    )
    with pytest.raises(ModelUnservable, match=r"input 't' is text .* put a Cast to float there"):
        OnnxSession.open(save(tmp_path, "m", 1, proto))
