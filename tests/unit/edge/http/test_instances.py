"""V1 instances: by input names, or bare where there is one input."""

from __future__ import annotations

import struct
from typing import Any

import orjson
import pytest

from serving.edge.http.instances import decode
from serving.edge.http.limits import HttpLimits
from serving.errors import BadRequest
from serving.inference import Signature, TensorSpec

TWO = Signature((TensorSpec("hour", "INT64", (-1, 1)), TensorSpec("carrier", "BYTES", (-1,))), ())
ONE = Signature((TensorSpec("x", "FP32", (-1, 2, 2)),), ())
OPEN = Signature((TensorSpec("x", "FP32", (-1, -1)),), ())
SCALAR = Signature((TensorSpec("x", "FP32", ()),), ())


def body(instances: Any, **more: Any) -> bytes:
    return orjson.dumps({"instances": instances, **more})


def test_named_fields_become_columns_in_the_signatures_order() -> None:
    (hour, carrier), count = decode(body([{"carrier": "UA", "hour": 5}, {"hour": [6], "carrier": "DL"}]), TWO)
    assert count == 2
    assert (hour.name, hour.shape, hour.data) == ("hour", (2, 1), struct.pack("<2q", 5, 6))
    assert (carrier.name, carrier.shape, carrier.data) == ("carrier", (2,), b"\2\0\0\0UA\2\0\0\0DL")


@pytest.mark.parametrize("row", [[1, 2, 3, 4], [[1, 2], [3, 4]], {"x": [1, 2, 3, 4]}, {"x": [[1, 2], [3, 4]]}])
def test_a_model_of_one_input_takes_bare_lists_and_any_nesting(row: Any) -> None:
    (tensor,), count = decode(body([row]), ONE)
    assert (count, tensor.shape, tensor.data) == (1, (1, 2, 2), struct.pack("<4f", 1, 2, 3, 4))


def test_open_dimensions_take_their_size_from_the_first_instance() -> None:
    (tensor,), _ = decode(body([[1, 2, 3], [4, 5, 6]]), OPEN)
    assert tensor.shape == (2, 3)


def test_a_model_without_rows_takes_one_bare_value() -> None:
    (tensor,), count = decode(body([{"x": 3}]), SCALAR)
    assert (tensor.shape, tensor.data, count) == ((), struct.pack("<f", 3), 1)


@pytest.mark.parametrize(
    ("signature", "document", "message"),
    [
        (TWO, b"{}", "`instances` is missing; send"),
        (TWO, b'{"inputs":[]}', "belong to POST /v2"),
        (TWO, body([]), "at least one instance"),
        (TWO, body({}), "at least one instance"),
        (TWO, body([{"hour": 1, "carrier": "a"}], foo=1), "unknown field 'foo'"),
        (TWO, body([{"hour": 1}]), r"instances\[0\]: field 'carrier' is missing; the model needs hour, carrier"),
        (TWO, body([{"hour": 1, "carrier": "a", "day": 2}]), r"unknown field 'day'; the model has hour, carrier"),
        (TWO, body([{"hour": 1, "carrier": "a"}, 3]), r"instances\[1\] must be an object"),
        (TWO, body([{"hour": 1, "carrier": ["a"]}]), "field 'carrier' must be a single value, not an array"),
        (TWO, body([{"hour": 1, "carrier": [["a"]]}]), "field 'carrier' must be a single value, not an array"),
        (TWO, body([[1, 2]]), "must be objects: the model has 2 inputs"),
        (TWO, body([{"hour": True, "carrier": "a"}]), "value 0 must be an integer .*got true"),
        (TWO, body([{"hour": 1, "carrier": None}]), "value 0 must be a string, got null"),
        (TWO, body([{"hour": [1, 2], "carrier": "a"}]), r"'hour' must have shape \[1\]"),
        (TWO, body([{"hour": 1, "carrier": ["a"]}]), "'carrier' must be a single value"),
        (TWO, body([{"hour": {}, "carrier": "a"}]), "got an object"),
        (ONE, body([1]), "must be an array of 4 values"),
        (ONE, body([[1, 2, 3]]), r"must have shape \[2, 2\]"),
        (ONE, body([[[1, 2], [3]]]), r"must have shape \[2, 2\]"),
        (ONE, body([[1, 2, 3, 4], {"x": [1, 2, 3, 4]}]), "is an object, but"),
        (OPEN, body([[1, 2], [1]]), r"must have shape \[2\] in every instance"),
        (OPEN, body([[[1]]]), r"must have shape \[-1\].*got shape \[1, 1\]"),
        (OPEN, body([5]), r"got shape \[\]"),
        (SCALAR, body([{"x": 1}, {"x": 2}]), "one instance at a time"),
    ],
)
def test_what_is_wrong_with_the_instances_is_said(signature: Signature, document: bytes, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        decode(document, signature)


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_strings_of_instances_have_the_limits_of_tensors(over: int) -> None:
    limits = HttpLimits(max_strings=5, max_string_bytes=8)
    long = [{"hour": 1, "carrier": "ü" * 4 + "a" * over if over > 0 else "a" * (8 + over)}]
    many = [{"hour": 1, "carrier": "a"}] * (5 + over)
    for instances, setting in ((long, "max_string_bytes"), (many, "max_strings")):
        if over <= 0:
            assert decode(body(instances), TWO, limits)
        else:
            with pytest.raises(BadRequest, match=setting):
                decode(body(instances), TWO, limits)
