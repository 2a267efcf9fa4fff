"""Answers become columns of the types that the model declares."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest

from serving.bulk.answer import column_type, from_predictions, from_tensors
from serving.bulk.model_form import ModelForm, TensorForm
from serving.bulk.stopped import BulkStopped

LABEL, SCORES, WORD = (
    TensorForm("label", "INT64", (1,)),
    TensorForm("scores", "FP32", (-1, 2)),
    TensorForm("w", "BYTES", (-1,)),
)
FORM = ModelForm("m", (), (LABEL, SCORES, WORD))
EXPECTED: dict[str, list[Any]] = {"label": [1, 2], "scores": [[0.5, 0.25], [0.125, 1.0]], "w": ["a", "bc"]}


def tensors(*, labels: int = 2, binary: bool = True) -> tuple[bytes, int]:
    parts = [
        np.arange(1, 1 + labels).tobytes(),
        np.array(EXPECTED["scores"], np.float32).tobytes(),
        b"\1\0\0\0a\2\0\0\0bc",
    ]
    given = [list(range(1, 1 + labels)), [0.5, 0.25, 0.125, 1.0], ["a", "bc"]]
    outputs = [
        {"name": one.name, "datatype": one.datatype, "shape": [2]}
        | ({"parameters": {"binary_data_size": len(part)}} if binary else {"data": values})
        for one, part, values in zip(FORM.outputs, parts, given, strict=True)
    ]
    document = orjson.dumps({"model_version": "3", "outputs": outputs})
    return document + (b"".join(parts) if binary else b""), len(document)


@pytest.mark.parametrize("binary", [True, False])
def test_tensors_become_values_and_lists(binary: bool) -> None:
    body, size = tensors(binary=binary)
    answered = from_tensors(FORM, body, size if binary else None, 2)
    assert {name: column.to_pylist() for name, column in answered.columns.items()} == EXPECTED
    assert (answered.version, answered.degraded) == (3, None)
    assert [answered.columns[one.name].type for one in FORM.outputs] == [column_type(one) for one in FORM.outputs]


def test_predictions_become_the_same() -> None:
    body = orjson.dumps({"predictions": [{n: EXPECTED[n][row] for n in EXPECTED} for row in range(2)]})
    answered = from_predictions(FORM, body, {"x-sluice-version": "3", "x-sluice-degraded": "plane=null"}, 2)
    assert {name: column.to_pylist() for name, column in answered.columns.items()} == EXPECTED
    assert (answered.version, answered.degraded) == (3, "plane=null")


def test_the_prediction_of_a_model_of_one_output_stands_by_itself() -> None:
    form = ModelForm("m", (), (TensorForm("y", "FP32", (-1, 1)),))
    answered = from_predictions(form, b'{"predictions":[[0.5],[null]]}', {}, 2)
    assert answered.columns["y"].to_pylist() == [0.5, None]


@pytest.mark.parametrize("labels", [1, 3])
def test_an_answer_with_more_or_fewer_rows_is_none(labels: int) -> None:
    body, size = tensors(labels=labels)
    with pytest.raises(BulkStopped, match=f"answered {labels} values of 'label' to 2 rows"):
        from_tensors(FORM, body, size, 2)
    with pytest.raises(BulkStopped, match="1 predictions to 2 rows"):
        from_predictions(FORM, b'{"predictions":[1]}', {}, 2)


def test_floats_of_16_bits_become_floats_of_32() -> None:
    form = ModelForm("m", (), (TensorForm("h", "FP16", (-1,)), TensorForm("b", "BF16", (-1,))))
    parts = [
        np.array([1.5], np.float16).tobytes(),
        (np.array([-2.0], np.float32).view(np.uint32) >> 16).astype("<u2").tobytes(),
    ]
    outputs = [
        {"name": one.name, "datatype": one.datatype, "parameters": {"binary_data_size": 2}} for one in form.outputs
    ]
    document = orjson.dumps({"outputs": outputs})
    answered = from_tensors(form, document + b"".join(parts), len(document), 1)
    assert [answered.columns[name].to_pylist() for name in ("h", "b")] == [[1.5], [-2.0]]
    assert answered.columns["h"].type == pa.float32()


def test_an_output_that_was_declared_must_be_there() -> None:
    with pytest.raises(BulkStopped, match="no output 'label'"):
        from_tensors(FORM, b'{"outputs":[]}', None, 2)
