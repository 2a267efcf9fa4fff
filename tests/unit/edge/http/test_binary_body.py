"""Binary tensors in requests: every datatype arrives as it was sent, and bytes that do not add up are refused."""

from __future__ import annotations

import contextlib
import struct
from math import prod
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.edge.http import codec
from serving.edge.http.binary_body import BinaryBodies, check_steps, raw
from serving.edge.http.codec import Asked
from serving.edge.http.limits import HttpLimits
from serving.errors import BadRequest
from serving.inference import ELEMENT_SIZE, Signature, TensorSpec
from tests.unit.edge.http.binary import body_of, tensor

LIMITS = HttpLimits(max_tensors=3, max_rank=4, max_elements=6000, max_strings=40, max_string_bytes=20)
GOOD = tensor("x", "FP32", [1, 2], 8)
TWO_FLOATS = struct.pack("<2f", 1, 2)


def decode(body: bytes, json_size: int) -> Asked:
    return BinaryBodies(LIMITS).decode(body, json_size)


def strings(*elements: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(element)) + element for element in elements)


@st.composite
def tensors(draw: st.DrawFn) -> tuple[str, list[int], bytes]:
    """Datatype, shape and elements of any tensor that fits the limits; some are large enough to stay views."""
    datatype = draw(st.sampled_from(sorted(ELEMENT_SIZE)))
    shape = draw(st.lists(st.integers(0, 3), max_size=3))
    if datatype == "BYTES":
        texts = st.text(max_size=5).map(str.encode)
        return datatype, shape, strings(*draw(st.lists(texts, min_size=prod(shape), max_size=prod(shape))))
    if draw(st.booleans()):
        shape = [*shape[:1], 5000] if prod(shape[:1]) == 1 else shape
    count = prod(shape)
    if datatype == "BOOL":
        return datatype, shape, bytes(draw(st.integers(0, 1)) for _ in range(min(count, 9))).ljust(count, b"\1")
    return (
        datatype,
        shape,
        draw(st.binary(max_size=16)).ljust(count * ELEMENT_SIZE[datatype], b"\7")[: count * ELEMENT_SIZE[datatype]],
    )


@given(st.lists(tensors(), min_size=1, max_size=3))
def test_every_datatype_arrives_byte_for_byte(sent: list[tuple[str, list[int], bytes]]) -> None:
    entries = [tensor(str(i), datatype, shape, len(data)) for i, (datatype, shape, data) in enumerate(sent)]
    asked = decode(*body_of(entries, *[data for _, _, data in sent]))
    assert [(t.datatype, list(t.shape), bytes(t.data)) for t in asked.inputs] == sent


def test_inputs_in_json_stand_between_those_in_binary() -> None:
    middle = {"name": "y", "datatype": "INT8", "shape": [2], "data": [1, 2]}
    last = tensor("z", "BYTES", [1], 5)
    asked = decode(*body_of([GOOD, middle, last], TWO_FLOATS, strings(b"\0")))
    assert [(t.name, bytes(t.data)) for t in asked.inputs] == [
        ("x", TWO_FLOATS),
        ("y", b"\1\2"),
        ("z", b"\1\0\0\0\0"),
    ]


def test_no_elements_may_be_both_null_and_no_bytes() -> None:
    # As KServe's client sends them.
    empty = tensor("y", "INT8", [0], 0, data=None)
    asked = decode(*body_of([GOOD, empty], TWO_FLOATS))
    assert [(t.name, t.shape, bytes(t.data)) for t in asked.inputs] == [("x", (1, 2), TWO_FLOATS), ("y", (0,), b"")]
    document, _ = body_of([empty])
    assert [(t.name, t.shape, bytes(t.data)) for t in codec.decode(document, LIMITS).inputs] == [("y", (0,), b"")]
    with pytest.raises(BadRequest, match="needs 1 values, but `data` has 0"):
        decode(*body_of([tensor("y", "INT8", [1], 0, data=None)]))


def test_the_only_input_need_not_say_its_size() -> None:
    body, size = body_of([tensor("x", "FP32", [1, 2], None)], TWO_FLOATS)
    assert decode(body, size).inputs[0].data == TWO_FLOATS
    with pytest.raises(BadRequest, match="8 bytes, but it has 9"):
        decode(body + b"\0", size)


def test_what_a_json_part_says_is_remembered_and_its_tensors_are_not() -> None:
    bodies = BinaryBodies(LIMITS)
    first, size = body_of([GOOD], struct.pack("<2f", 1, 2), id="a")
    second = first[:size] + struct.pack("<2f", 3, 4)
    one, two = bodies.decode(first, size), bodies.decode(second, size)
    assert one.inputs[0].data == struct.pack("<2f", 1, 2)
    assert two.inputs[0].data == struct.pack("<2f", 3, 4)
    assert one.inputs[0] is not two.inputs[0]
    with pytest.raises(BadRequest, match="only 7 bytes are left"):
        bodies.decode(second[:-1], size)


def test_a_large_tensor_is_a_view_of_the_body() -> None:
    body, size = body_of([tensor("x", "UINT8", [5000], 5000)], bytes(5000))
    view = decode(body, size).inputs[0].data
    assert isinstance(view, memoryview)
    assert view.obj is body


@pytest.mark.parametrize(
    ("inputs", "elements", "message"),
    [
        ([GOOD], TWO_FLOATS[:7], "`binary_data_size` 8, but only 7 bytes are left"),
        ([GOOD], TWO_FLOATS + b"\0", "1 bytes are left after the last input"),
        ([tensor("x", "FP32", [1, 2], 4)], TWO_FLOATS[:4], "2 values of FP32 are 8 bytes, but it has 4"),
        ([tensor("x", "FP32", [1, 2], -8)], TWO_FLOATS, "is a number of bytes, got -8"),
        ([tensor("x", "FP32", [1, 2], 8, data=[1, 2])], TWO_FLOATS, "both `data` and `binary_data_size`"),
        ([tensor("x", "FP32", [1, 2], None), GOOD | {"name": "y"}], TWO_FLOATS, "neither `data` nor"),
        ([GOOD | {"parameters": {"shared_memory_region": "r"}}], b"", "shared memory is not served"),
        ([GOOD | {"parameters": 7}], b"", "`parameters` must be an object, got 7"),
        ([GOOD | {"parameters": {"binary_data_size": "8"}}], b"", "is a number of bytes, got '8'"),
        ([GOOD, GOOD], TWO_FLOATS * 2, "given twice"),
        ([tensor("x", "FP8", [1], 1)], b"\0", "unknown datatype 'FP8'; known are .*BF16"),
        ([tensor("x", "BOOL", [2], 2)], b"\1\2", "one byte, 0 or 1"),
        ([tensor("x", "BOOL", [5000], 5000)], bytes(4999) + b"\2", "one byte, 0 or 1"),
        ([tensor("x", "BYTES", [2], 5)], strings(b"a"), "end at element 1 of 2"),
        ([tensor("x", "BYTES", [1], 4)], struct.pack("<I", 1), "end within element 0"),
        ([tensor("x", "BYTES", [1], 3)], b"\0\0\0", "end at element 0"),
        ([tensor("x", "BYTES", [1], 10)], strings(b"a", b"b"), "5 bytes are left after its 1 elements"),
        ([tensor("x", "BYTES", [2], 10)], strings(b"a", b"\xff"), "element 1 is not UTF-8"),
        ([tensor("x", "FP32", [2**31], 8)], TWO_FLOATS, "integers from 0 to 2147483647"),
        ([{"name": "x", "shape": [1]}], b"", "`datatype` is missing"),
        ([{"name": 1, "shape": [1], "datatype": "FP32"}], b"", "must be strings"),
        ([7], b"", "must be an object"),
        ([GOOD | {"sise": 8}], TWO_FLOATS, "unknown field 'sise'"),
    ],
)
def test_what_does_not_add_up_is_refused_by_name(inputs: list[Any], elements: bytes, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        decode(*body_of(inputs, elements))


def test_nul_and_text_of_any_language_pass() -> None:
    data = strings(b"\0\0", "ü€😀".encode(), b"")
    assert decode(*body_of([tensor("x", "BYTES", [3], len(data))], data)).inputs[0].data == data


@pytest.mark.parametrize(
    ("kind", "most"), [("tensors", 3), ("rank", 4), ("elements", 6000), ("strings", 40), ("bytes of a string", 20)]
)
@pytest.mark.parametrize("over", [-1, 0, 1])
def test_each_limit_takes_its_own_number_and_no_more(kind: str, most: int, over: int) -> None:
    count = most + over
    inputs, elements = {
        "tensors": ([tensor(str(i), "UINT8", [1], 1) for i in range(count)], bytes(count)),
        "rank": ([tensor("x", "UINT8", [1] * count, 1)], b"\0"),
        "elements": ([tensor("x", "UINT8", [count], count)], bytes(count)),
        "strings": ([tensor("x", "BYTES", [count], 4 * count)], bytes(4 * count)),
        "bytes of a string": ([tensor("x", "BYTES", [1], 4 + count)], strings(b"a" * count)),
    }[kind]
    if over <= 0:
        assert decode(*body_of(inputs, elements)).inputs
    else:
        with pytest.raises(BadRequest, match=r"http\.max_"):
            decode(*body_of(inputs, elements))


@given(st.binary(max_size=60), st.integers(0, 70))
def test_any_bytes_are_tensors_or_refused(body: bytes, json_size: int) -> None:
    with contextlib.suppress(BadRequest):
        decode(body, json_size)


@given(tensors(), st.integers(-3, 3), st.integers(-2, 2), st.binary(max_size=4))
def test_any_size_and_any_rest_are_tensors_or_refused(
    sent: tuple[str, list[int], bytes], lie: int, shift: int, rest: bytes
) -> None:
    datatype, shape, data = sent
    body, size = body_of([tensor("x", datatype, shape, max(0, len(data) + lie))], data, rest)
    with contextlib.suppress(BadRequest):
        (taken,) = decode(body, max(0, size + shift)).inputs
        assert len(taken.data) == max(0, len(data) + lie)


def one_input(datatype: str, *shape: int) -> Signature:
    return Signature((TensorSpec("x", datatype, shape),), ())


@pytest.mark.parametrize(
    ("signature", "body", "shape", "data"),
    [
        (one_input("FP32", -1, 2), TWO_FLOATS, (1, 2), TWO_FLOATS),
        (one_input("FP32", -1, -1), TWO_FLOATS, (1, 2), TWO_FLOATS),
        (one_input("FP32", 2), TWO_FLOATS, (2,), TWO_FLOATS),
        (one_input("FP32"), TWO_FLOATS[:4], (), TWO_FLOATS[:4]),
        (one_input("FP32", -1, -1), b"", (1, 0), b""),
        (one_input("BYTES", -1), b"a\0b", (1,), strings(b"a\0b")),
        (one_input("BYTES", -1, 1), b"", (1, 1), strings(b"")),
    ],
)
def test_a_raw_body_is_the_only_input(signature: Signature, body: bytes, shape: tuple[int, ...], data: bytes) -> None:
    asked = raw(body, signature, LIMITS)
    (taken,) = asked.inputs
    assert (taken.name, taken.shape, bytes(taken.data)) == ("x", shape, data)
    assert asked.options.binary is True


@pytest.mark.parametrize(
    ("signature", "body", "message"),
    [
        (Signature(one_input("FP32", 1).inputs * 2, ()), b"", "for models of one input"),
        (one_input("FP32", -1, -1, -1), TWO_FLOATS, "more than one size is open"),
        (one_input("FP32", -1, 3), TWO_FLOATS, "3 values of FP32 are 12 bytes, but it has 8"),
        (one_input("FP32", -1), TWO_FLOATS, "1 values of FP32 are 4 bytes, but it has 8"),
        (one_input("FP32", -1, -1), TWO_FLOATS + b"\0", "are 8 bytes, but it has 9"),
        (one_input("BYTES", -1, 2), b"ab", "end at element 1 of 2"),
    ],
)
def test_a_raw_body_that_cannot_be_told_is_refused(signature: Signature, body: bytes, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        raw(body, signature, LIMITS)


def test_a_json_part_longer_than_the_body_is_refused() -> None:
    with pytest.raises(BadRequest, match="the body has 2 bytes"):
        decode(b"{}", 3)


def test_a_document_that_is_not_json_says_so() -> None:
    with pytest.raises(BadRequest, match="not JSON"):
        decode(b'{"inputs": [1}', 14)
    endless = b'{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[NaN]}]}'
    with pytest.raises(BadRequest, match="send the tensor in binary"):
        decode(endless, len(endless))


TEXT = Signature((TensorSpec("a", "BYTES", (1,)),), ())
ROOMY = HttpLimits()


def test_a_large_raw_text_is_looked_at_in_steps() -> None:
    text = ("ü" * 1_000_000).encode()
    asked = raw(text, TEXT, ROOMY)
    assert bytes(asked.inputs[0].data) == strings(text)
    steps = check_steps(asked, ROOMY)
    assert len(list(steps)) > 5
    with pytest.raises(BadRequest, match="element 0 is not UTF-8"):
        list(check_steps(raw(text[:-1], TEXT, ROOMY), ROOMY))


def test_a_raw_text_over_the_limit_is_refused() -> None:
    limits = HttpLimits(max_string_bytes=100)
    assert not raw(b"x" * 100, TEXT, limits).unchecked
    with pytest.raises(BadRequest, match="element 0 has 101 bytes"):
        raw(b"x" * 101, TEXT, limits)
