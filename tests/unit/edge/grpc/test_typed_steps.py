"""Typed contents in steps: the same tensors and refusals as at once, and no step of more than some thousand values."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.edge.grpc import codec, large_request, typed_steps
from serving.edge.grpc.codec import Asked, Codec, Decoded
from serving.edge.grpc.limits import GrpcLimits
from serving.edge.grpc.rendering import framed, varint
from serving.edge.grpc.status import Code
from serving.errors import ServingError, TooLarge
from serving.inference import Answer, Request, Tensor
from serving.protocol.open_inference import InferTensorContents, ModelInferRequest, ModelStreamInferResponse
from serving.testing.predictions import FakePredictions, mean_answer
from tests.unit.edge.grpc.messages import decoded, floats, typed
from tests.unit.edge.grpc.wire import INFER, STREAM, Wire

LIMITS = GrpcLimits(max_typed_elements=40, max_string_bytes=200, max_strings=30)
FIELDS = {
    "BOOL": ("bool_contents", st.booleans()),
    "INT8": ("int_contents", st.integers(-130, 130)),
    "INT32": ("int_contents", st.integers(-(2**31), 2**31 - 1)),
    "INT64": ("int64_contents", st.integers(-(2**63), 2**63 - 1)),
    "UINT16": ("uint_contents", st.integers(0, 70_000)),
    "UINT64": ("uint64_contents", st.integers(0, 2**64 - 1)),
    "FP32": ("fp32_contents", st.floats(width=32, allow_nan=False)),
    "FP64": ("fp64_contents", st.floats(allow_nan=False)),
    "BYTES": ("bytes_contents", st.binary(max_size=4) | st.text(max_size=70).map(str.encode)),
    "FP16": ("fp32_contents", st.just(1.0)),
}
Outcome = tuple[Asked, list[tuple[str, str, tuple[int, ...], bytes]]] | tuple[type[ServingError], str]


def _outcome(message: bytes) -> Outcome:
    try:
        made = decoded(Codec(LIMITS), message)
    except ServingError as error:
        return type(error), error.message
    asked = made.asked._replace(inputs=tuple(one._replace(data=None) for one in made.asked.inputs))
    return asked, [(one.name, one.datatype, one.shape, bytes(one.data)) for one in made.tensors]


def _field(tag: int, payload: bytes) -> bytes:
    return bytes((tag,)) + varint(len(payload)) + payload


@st.composite
def _inputs(draw: st.DrawFn) -> bytes:
    """An input whose contents may be in parts, of other types, cut off, or fewer than its shape needs."""
    datatype = draw(st.sampled_from(sorted(FIELDS)))
    field, values = FIELDS[draw(st.sampled_from([datatype] * 9 + sorted(FIELDS)))]
    given_values = draw(st.lists(values, max_size=12))
    count = draw(st.sampled_from([len(given_values)] * 9 + [3]))
    asked = typed(datatype, [count], **{field: given_values})
    tensor = asked.inputs[0]
    tensor.name = draw(st.sampled_from("abcd"))
    contents = tensor.contents.SerializeToString()
    tensor.ClearField("contents")
    parts = [contents]
    if draw(st.booleans()):
        parts.append(
            draw(st.sampled_from([contents, b"", b"\x98\x06\x01", b"\x1a\0", b"\x32\0", b"\x42\0", b"\x35aaaa"]))
        )
    if draw(st.integers(0, 19)) == 0:
        parts.append(draw(st.binary(max_size=6)))
    body = tensor.SerializeToString() + b"".join(_field(0x2A, part) for part in parts)
    return _field(0x2A, body)


@st.composite
def _messages(draw: st.DrawFn) -> bytes:
    head = ModelInferRequest(model_name="mlp", id=draw(st.sampled_from(["", "x"]))).SerializeToString()
    pieces = [head, *draw(st.lists(_inputs(), min_size=1, max_size=3))]
    if draw(st.integers(0, 4)) == 0:
        pieces.append(_field(0x3A, draw(st.binary(max_size=8))))
    return b"".join(draw(st.permutations(pieces)))


@given(_messages())
def test_whatever_is_sent_is_the_same_request_or_refusal_in_steps(message: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        at_once = _outcome(message)
        patch.setattr(codec, "_AT_ONCE", 0)
        patch.setattr(large_request, "_LIGHT", 0)
        for step in (1, 4096):
            patch.setattr(typed_steps, "_STEP", step)
            in_steps = _outcome(message)
            # Of several mistakes either may be told.
            assert in_steps == at_once or (isinstance(in_steps[0], type) and isinstance(at_once[0], type))


@pytest.mark.parametrize(
    "asked",
    [
        typed("INT8", [2], int_contents=[1, 300]),
        typed("FP32", [1], fp64_contents=[1.0]),
        typed("INT64", [1], int_contents=[1], int64_contents=[1]),
        typed("FP32", [3], fp32_contents=[1.0]),
        typed("BOOL", [3], bool_contents=[True]),
        typed("BYTES", [3], bytes_contents=[b"a"]),
        typed("FP16", [1], fp32_contents=[1.0]),
        typed("BF16", [1]),
        typed("BYTES", [1], bytes_contents=[b"\xff"]),
        typed("BYTES", [1], bytes_contents=[b"a" * 201]),
        typed("FP32", [2]),
    ],
)
def test_what_is_wrong_is_told_in_the_same_words(asked: ModelInferRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    message = asked.SerializeToString()
    at_once = _outcome(message)
    assert isinstance(at_once[0], type)
    monkeypatch.setattr(codec, "_AT_ONCE", 0)
    monkeypatch.setattr(large_request, "_LIGHT", 0)
    assert _outcome(message) == at_once


def _steps(message: bytes, limits: GrpcLimits | None = None) -> tuple[int, Decoded]:
    came, count = Codec(limits or GrpcLimits()).decode(message), 0
    assert not isinstance(came, Decoded)
    while True:
        try:
            next(came)
        except StopIteration as ended:
            return count, ended.value
        count += 1


MANY = 100_000


@pytest.mark.parametrize(
    ("datatype", "field", "values", "data"),
    [
        ("INT64", "int64_contents", range(MANY), b"".join(struct.pack("<q", n) for n in range(MANY))),
        ("BOOL", "bool_contents", [True] * MANY, b"\1" * MANY),
        ("BYTES", "bytes_contents", [b"ab", "ü".encode()] * (MANY // 2), b"\2\0\0\0ab\2\0\0\0\xc3\xbc" * (MANY // 2)),
        ("BYTES", "bytes_contents", [b"a" * 130] * MANY, (b"\x82\0\0\0" + b"a" * 130) * MANY),
    ],
)
def test_many_values_take_a_step_for_some_thousands(datatype: str, field: str, values: Any, data: bytes) -> None:
    count, made = _steps(typed(datatype, [MANY], **{field: values}).SerializeToString())
    assert count >= MANY // 4096
    assert made.tensors == [Tensor("input", datatype, (MANY,), made.tensors[0].data)]
    assert bytes(made.tensors[0].data) == data


def test_floats_are_neither_parsed_nor_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    message = typed("FP32", [MANY], fp32_contents=[1.5] * MANY).SerializeToString()
    monkeypatch.setattr(typed_steps, "InferTensorContents", None)
    _, made = _steps(message)
    data = made.tensors[0].data
    assert isinstance(data, memoryview)
    assert data.obj is message
    assert data == floats(1.5) * MANY


def test_floats_in_several_parts_are_joined() -> None:
    part = b"\x32" + varint(40_000) + floats(2.5) * 10_000
    single = b"\x35" + floats(3.5)
    whole = typed("FP32", [20_001]).SerializeToString()
    asked = ModelInferRequest.FromString(whole)
    head = asked.inputs[0].SerializeToString().replace(b"\x2a\0", b"")
    message = b"\x0a\3mlp" + _field(0x2A, head + _field(0x2A, part + single) + _field(0x2A, part))
    _, made = _steps(message)
    assert made.tensors[0].data == floats(2.5) * 10_000 + floats(3.5) + floats(2.5) * 10_000


def test_the_place_of_a_wrong_value_counts_the_parts_before_it() -> None:
    asked = typed("INT8", [20_002])
    head = asked.inputs[0].SerializeToString().replace(b"\x2a\0", b"")
    parts = [InferTensorContents(int_contents=[1] * 20_000), InferTensorContents(int_contents=[1, 300])]
    message = b"\x0a\3mlp" + _field(0x2A, head + b"".join(_field(0x2A, one.SerializeToString()) for one in parts))
    with pytest.raises(ServingError, match="value 20001 must be an integer"):
        _steps(message)


def test_a_large_string_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    large = [b"a" * 300_000, b"b" * 2_000_000]
    message = typed("BYTES", [2], bytes_contents=large).SerializeToString()
    parsed: list[int] = []

    class Small:
        @staticmethod
        def FromString(data: bytes) -> InferTensorContents:  # noqa: N802 - protobuf's name
            parsed.append(len(data))
            return InferTensorContents.FromString(data)

    monkeypatch.setattr(typed_steps, "InferTensorContents", Small)
    count, made = _steps(message)
    assert made.tensors[0].data == b"".join(struct.pack("<I", len(one)) + one for one in large)
    assert max(parsed, default=0) == 0
    assert count > 8
    with pytest.raises(
        ServingError, match=r"element 1 has 2000000 bytes; .* may have 300000 \(http.max_string_bytes\)"
    ):
        _steps(message, GrpcLimits(max_string_bytes=300_000))


def test_a_large_string_among_others_keeps_its_place() -> None:
    strings = [b"x", b"y" * 130, b"a" * 300_000, b"", b"z" * 200]
    _, made = _steps(typed("BYTES", [5], bytes_contents=strings).SerializeToString())
    assert made.tensors[0].data == b"".join(struct.pack("<I", len(one)) + one for one in strings)
    with pytest.raises(ServingError, match="INT64 belongs into int64_contents, got bytes_contents"):
        _steps(typed("INT64", [5], bytes_contents=strings[2:]).SerializeToString())


def test_values_beyond_the_limit_are_refused_before_they_are_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    message = typed("INT32", [20_000], int_contents=[1] * 20_000).SerializeToString()
    monkeypatch.setattr(typed_steps, "InferTensorContents", None)
    with pytest.raises(TooLarge, match="at most 19999 values"):
        _steps(message, GrpcLimits(max_typed_elements=19_999))


LARGE = framed(typed("FP32", [5000, 1], fp32_contents=[1.0] * 5000).SerializeToString())
WRONG = framed(typed("FP32", [4999, 1], fp32_contents=[1.0] * 5000).SerializeToString())


def _wire() -> tuple[Wire, list[tuple[int, ...]]]:
    """With the shapes of what was asked."""
    shapes: list[tuple[int, ...]] = []

    def reply(asked: Request) -> Answer | ServingError:
        shapes.append(asked.inputs[0].shape)
        return mean_answer(asked)

    return Wire(predictions=FakePredictions(reply=reply)).greet(), shapes


async def _turns(wire: Wire) -> None:
    for _ in range(5):
        await asyncio.sleep(0)
        wire.pump()


async def test_a_call_with_many_typed_values_is_answered_in_a_later_turn() -> None:
    wire, shapes = _wire()
    numbers = []
    for message in (LARGE, WRONG):
        numbers.append(wire.begin(INFER))
        wire.client.send_data(numbers[-1], message, end_stream=True)
        wire.pump()
    assert wire.predictions.accepted == []
    await _turns(wire)
    assert [wire.calls[number].status for number in numbers] == [Code.OK, Code.INVALID_ARGUMENT]
    assert shapes == [(5000, 1)]
    assert wire.budget.used == 0


async def test_a_caller_who_leaves_before_its_values_were_read_asks_nothing() -> None:
    wire = Wire().greet()
    number = wire.begin(INFER)
    wire.client.send_data(number, LARGE, end_stream=True)
    wire.pump()
    wire.client.reset_stream(number, 8)
    wire.pump()
    await _turns(wire)
    assert (wire.predictions.accepted, wire.budget.used) == ([], 0)


async def test_a_stream_answers_in_order_also_what_is_decoded_in_steps() -> None:
    wire, shapes = _wire()
    number = wire.begin(STREAM)
    small = framed(typed("FP32", [1, 2], fp32_contents=[2.0, 4.0]).SerializeToString())
    wire.client.send_data(number, LARGE + WRONG + small, end_stream=True)
    for _ in range(3):
        await _turns(wire)
    data, answers = wire.calls[number].data, []
    while data:
        size = int.from_bytes(data[1:5], "big")
        answers.append(ModelStreamInferResponse.FromString(data[5 : 5 + size]))
        data = data[5 + size :]
    assert [bool(one.error_message) for one in answers] == [False, True, False]
    assert "its shape needs 4999 values" in answers[1].error_message
    assert answers[2].infer_response.raw_output_contents == [floats(3.0)]
    assert shapes == [(1, 2), (5000, 1)]
    assert (wire.calls[number].status, wire.budget.used) == (Code.OK, 0)
