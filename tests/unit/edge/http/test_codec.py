"""Infer requests in JSON: what is understood, and what is refused by name."""

from __future__ import annotations

import contextlib
import struct
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.edge.http.codec import decode
from serving.edge.http.limits import HttpLimits
from serving.errors import BadRequest

GOOD = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}


def body(**fields: Any) -> bytes:
    return orjson.dumps({"inputs": [GOOD], **fields})


def test_a_request_becomes_tensors_in_the_callers_order() -> None:
    other = {"name": "a", "shape": [2], "datatype": "BYTES", "data": ["p", "q"], "parameters": {"anything": 1}}
    asked = decode(body(inputs=[GOOD, other], id="7", parameters={"priority": 1}, model_name="m"))
    first, second = asked.inputs
    assert (first.name, first.datatype, first.shape) == ("x", "FP32", (1, 2))
    assert first.data == struct.pack("<2f", 1, 2)
    assert (second.name, second.shape) == ("a", (2,))
    assert asked.options.id_json == b'"7"'
    assert asked.options.outputs is None


@given(st.integers(1, 5), st.integers(0, 5), st.data())
def test_nested_and_flat_data_decode_to_the_same_bytes(rows: int, width: int, data: st.DataObject) -> None:
    values = data.draw(
        st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=width, max_size=width)
    )
    tensor = {"name": "x", "shape": [rows, width], "datatype": "FP32"}
    flat = decode(orjson.dumps({"inputs": [{**tensor, "data": values * rows}]}))
    nested = decode(orjson.dumps({"inputs": [{**tensor, "data": [values] * rows}]}))
    assert flat.inputs[0].data == nested.inputs[0].data == struct.pack(f"<{width}f", *values) * rows


def test_the_wanted_outputs_are_kept_in_order() -> None:
    assert decode(body(outputs=[{"name": "b"}, {"name": "a", "parameters": {}}])).options.outputs == ("b", "a")
    assert decode(body(outputs=[])).options.outputs is None


def test_a_boolean_elsewhere_in_the_document_does_no_harm() -> None:
    assert decode(body(parameters={"binary_data_output": False})).inputs[0].data == struct.pack("<2f", 1, 2)


def without(field: str) -> dict[str, Any]:
    return {name: value for name, value in GOOD.items() if name != field}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (b"", "the body is empty"),
        (b"{", "the body is not JSON"),
        (b"\xff", "the body is not JSON"),
        (b'{"inputs": [NaN]}', "JSON has no NaN and no infinity"),
        (b'{"inputs": [-Infinity]}', "JSON has no NaN and no infinity"),
        (b'{"inputs": [1e999]}', "JSON has no NaN and no infinity"),
        (b"[" * 100_000, "the body is not JSON: depth limit"),
        (b'{"inputs":' + b"[" * 900 + b"]" * 900 + b"}", r"inputs\[0\] must be an object .*got an array"),
        (b"[]", "must be a JSON object, got an array"),
        (b"7", "must be a JSON object, got 7"),
        (b"{}", "`inputs` is missing"),
        (b'{"instances": []}', "belong to POST /v1"),
        (b'{"inputs": []}', "at least one tensor"),
        (b'{"inputs": {}}', "at least one tensor"),
        (body(inputs=[1]), r"inputs\[0\] must be an object .*got 1"),
        *[(body(inputs=[without(field)]), rf"inputs\[0\]: `{field}` is missing") for field in GOOD],
        (
            body(inputs=[{**without("data"), "parameters": {"binary_data_size": 8}}]),
            "needs the header Inference-Header-Content-Length",
        ),
        (body(inputs=[{**GOOD, "name": 1}]), "must be strings"),
        (body(inputs=[{**GOOD, "shape": 2}]), "`shape` must be an array"),
        (body(inputs=[{**GOOD, "shape": [1] * 33}]), "at most 32 integers"),
        (body(inputs=[{**GOOD, "shape": [-1, 2]}]), "integers from 0 to 2147483647, got -1"),
        (body(inputs=[{**GOOD, "shape": [True, 2]}]), "integers from 0 to 2147483647, got true"),
        (body(inputs=[{**GOOD, "shape": [1.0, 2]}]), "integers from 0 to 2147483647, got 1.0"),
        (body(inputs=[{**GOOD, "shape": [2**60, 2**60]}]), "integers from 0 to 2147483647"),
        (body(inputs=[{**GOOD, "shape": [1, 3]}]), r"shape \[1, 3\] needs 3 values, but `data` has 2"),
        (body(inputs=[{**GOOD, "datum": 1}]), "unknown field 'datum'"),
        (body(inputs=[GOOD, GOOD]), "input 'x' is given twice"),
        (body(input=[]), "unknown field 'input'; known are id, inputs"),
        (body(id=7), "`id` must be a string"),
        (body(id="x" * 5000), "`id` must be a string of at most 4096"),
        (body(parameters=[]), "`parameters` must be an object"),
        (body(outputs={}), "`outputs` must be an array"),
        (body(outputs=["a"]), r"outputs\[0\] must be an object with the name"),
        (body(outputs=[{"name": "a"}, {"name": "a"}]), "names an output twice"),
    ],
)
def test_what_is_wrong_with_a_document_is_said(document: bytes, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        decode(document)


@given(st.binary(max_size=200))
def test_any_bytes_are_either_understood_or_refused(document: bytes) -> None:
    with contextlib.suppress(BadRequest):
        decode(document)


# A given alphabet: on a fresh machine, all of Unicode takes seconds to list, which fails the test as too slow.
TEXT = st.lists(st.sampled_from(["a", "name", '"', "\\", "\x00", "ü", "😀"]), max_size=3).map("".join)
NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
DATATYPES = st.sampled_from(["FP32", "INT8", "BOOL", "BYTES"])


@given(st.fixed_dictionaries({}, optional={"name": JSON, "shape": JSON, "datatype": DATATYPES, "data": JSON}))
def test_any_tensor_is_either_understood_or_refused(tensor: dict[str, Any]) -> None:
    with contextlib.suppress(BadRequest):
        assert decode(orjson.dumps({"inputs": [tensor]})).inputs[0].name == tensor["name"]


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_json_may_be_nested_1024_deep(over: int) -> None:
    # The document, `parameters` and what is in it.
    inner = b"[" * (1024 - 2 + over) + b"]" * (1024 - 2 + over)
    document = b'{"inputs":[' + orjson.dumps(GOOD) + b'],"parameters":{"x":' + inner + b"}}"
    if over <= 0:
        assert decode(document).inputs
    else:
        with pytest.raises(BadRequest, match="depth limit"):
            decode(document)


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_tensors_in_json_have_the_limits_of_tensors_in_binary(over: int) -> None:
    limits = HttpLimits(max_tensors=3, max_rank=4, max_elements=50, max_strings=5, max_string_bytes=8)
    entries = {
        "max_tensors": [{**GOOD, "name": str(i)} for i in range(3 + over)],
        "max_rank": [{**GOOD, "shape": [1] * (4 + over), "data": [1]}],
        "max_elements": [{**GOOD, "shape": [50 + over], "data": [1] * (50 + over)}],
        "max_strings": [{**GOOD, "datatype": "BYTES", "shape": [5 + over], "data": ["a"] * (5 + over)}],
        "max_string_bytes": [{**GOOD, "datatype": "BYTES", "shape": [1], "data": ["ü" * 3 + "a" * (2 + over)]}],
    }
    for setting, inputs in entries.items():
        if over <= 0:
            assert decode(body(inputs=inputs), limits).inputs
        else:
            with pytest.raises(BadRequest, match=setting):
                decode(body(inputs=inputs), limits)
