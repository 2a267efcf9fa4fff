"""What is sent is what the gateway's own decoder reads out of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.bulk.column_fit import ColumnFit, FittedInput
from serving.bulk.encoding import Body, encode
from serving.bulk.model_form import FieldForm, TensorForm
from serving.edge.http.binary_body import BinaryBodies
from serving.edge.http.limits import HttpLimits
from serving.errors import BadRequest
from serving.inference import Tensor

BODIES = BinaryBodies(HttpLimits())
PAIR = FittedInput(TensorForm("x", "FP32", (-1, 2)), ("a", "b"))
WORDS = FittedInput(TensorForm("w", "BYTES", (-1, 1)), ("w",))


def decoded(body: Body) -> dict[str, Tensor]:
    joined = b"".join(bytes(part) for part in body.parts)
    assert body.size == len(joined)
    asked = BODIES.decode(joined, int(body.headers["inference-header-content-length"]))
    assert asked.options.binary is True
    return {tensor.name: tensor for tensor in asked.inputs}


@given(
    rows=st.lists(st.tuples(st.floats(width=32), st.floats(width=32), st.text()), min_size=1, max_size=20),
    data=st.data(),
)
def test_any_rows_of_a_block_are_sent_as_they_are(rows: list[tuple[float, float, str]], data: st.DataObject) -> None:
    a, b, words = zip(*rows, strict=True)
    batch = pa.record_batch({"a": pa.array(a, pa.float64()), "w": pa.array(words), "b": pa.array(b, pa.float32())})
    chosen = sorted(data.draw(st.sets(st.integers(0, len(rows) - 1), min_size=1)))
    found = decoded(encode(ColumnFit((PAIR, WORDS)), batch).body(chosen))
    assert (found["x"].shape, found["w"].shape) == ((len(chosen), 2), (len(chosen), 1))
    np.testing.assert_array_equal(
        np.frombuffer(found["x"].data, np.float32).reshape(-1, 2),
        np.array([rows[n][:2] for n in chosen], np.float32),
    )
    texts = b"".join(len(t).to_bytes(4, "little") + t for t in (rows[n][2].encode() for n in chosen))
    assert bytes(found["w"].data) == texts


@pytest.mark.parametrize("kind", [pa.list_(pa.float64()), pa.large_list(pa.float32()), pa.list_(pa.float32(), 4)])
def test_lists_are_rows_also_of_several_dimensions(kind: pa.DataType) -> None:
    fitted = FittedInput(TensorForm("x", "FP32", (-1, 2, 2)), ("x",))
    batch = pa.record_batch({"x": pa.array([[1, 2, 3, 4], [5, 6, 7, 8]], kind)})
    tensor = decoded(encode(ColumnFit((fitted,)), batch).body([1]))["x"]
    assert tensor.shape == (1, 2, 2)
    assert np.frombuffer(tensor.data, np.float32).tolist() == [5, 6, 7, 8]


def test_a_width_that_the_model_leaves_open_is_that_of_the_rows() -> None:
    fitted = FittedInput(TensorForm("x", "INT64", (-1, -1)), ("x",))
    encoded = encode(ColumnFit((fitted,)), pa.record_batch({"x": pa.array([[1, 2, 3], [4, 5, 6], [7]])}))
    assert decoded(encoded.body([0, 1]))["x"].shape == (2, 3)
    assert set(encoded.bad) == {2}


def test_a_bad_cell_of_any_input_rejects_its_row() -> None:
    batch = pa.record_batch({"a": pa.array(["1", "x"]), "b": pa.array([1, 1]), "w": pa.array([None, "w"])})
    assert set(encode(ColumnFit((PAIR, WORDS)), batch).bad) == {0, 1}


def test_a_scalar_has_no_dimension_of_rows() -> None:
    fitted = FittedInput(TensorForm("x", "FP32", ()), ("x",))
    assert (
        decoded(encode(ColumnFit((fitted,)), pa.record_batch({"x": pa.array([1.5, 2.5])})).body([1]))["x"].shape == ()
    )


def test_what_no_column_holds_is_refused() -> None:
    fitted = FittedInput(TensorForm("x", "BF16", (-1, 1)), ("x",))
    with pytest.raises(BadRequest, match="BF16, which no column of a file holds"):
        encode(ColumnFit((fitted,)), pa.record_batch({"x": pa.array([1.5])}))


def instances(columns: dict[str, Any], *, required: bool) -> tuple[Any, dict[int, str]]:
    fitted = ColumnFit(
        ids=("tail",), fields=(FieldForm("hour", "INT64", required=True), FieldForm("gust", "FP32", required))
    )
    batch = pa.record_batch(columns)
    encoded = encode(fitted, batch)
    body = encoded.body([row for row in range(batch.num_rows) if row not in encoded.bad])
    return orjson.loads(body.parts[0])["instances"], encoded.bad


def test_instances_have_ids_as_they_are_and_null_where_a_feature_is_missing() -> None:
    columns = {
        "tail": pa.array(["007", "N1", None]),
        "hour": pa.array(["5", "6", "7"]),
        "gust": pa.array([1.5, None, 1]),
    }
    found, bad = instances(columns, required=False)
    assert found == [{"hour": 5, "gust": 1.5, "tail": "007"}, {"hour": 6, "gust": None, "tail": "N1"}]
    assert bad == {2: "column 'tail' is empty"}


def test_whole_numbers_that_became_floats_are_ids_and_nan_is_missing() -> None:
    columns = {"tail": pa.array([7.0, 7.5]), "hour": pa.array([1, 1]), "gust": pa.array([float("nan"), 1])}
    found, bad = instances(columns, required=False)
    assert found == [{"hour": 1, "gust": None, "tail": 7}]
    assert "must be text or a whole number" in bad[1]


def test_a_feature_without_a_default_must_be_there() -> None:
    columns = {"tail": pa.array(["a", "b"]), "hour": pa.array([1, 1]), "gust": pa.array([None, 1.0])}
    assert instances(columns, required=True)[1] == {0: "column 'gust' is empty"}
