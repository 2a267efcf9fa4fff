"""What a message would have protobuf build, bounded before it does."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.edge.grpc import extent
from serving.edge.grpc.codec import Codec
from serving.edge.grpc.limits import GrpcLimits
from serving.edge.grpc.rendering import framed
from serving.edge.grpc.status import Code
from serving.errors import BadRequest, ServingError, TooLarge
from serving.protocol.open_inference import ModelInferRequest
from serving.testing.administration import FakeAdministration
from serving.testing.predictions import FakePredictions
from tests.unit.edge.grpc.messages import decoded, floats, request, typed
from tests.unit.edge.grpc.wire import Wire

LIMITS = GrpcLimits(max_tensors=8, max_typed_elements=6000)
INFERENCE = "/inference.GRPCInferenceService/"


def _little(message: bytes) -> ModelInferRequest:
    assert len(message) < 100, f"{len(message)} bytes were parsed"
    return ModelInferRequest.FromString(message)


def _input(payload: bytes) -> bytes:
    return b"\x0a\x03mlp" + ModelInferRequest(raw_input_contents=[payload]).SerializeToString().replace(b":", b"*", 1)


def _contents(payload: bytes, datatype: bytes = b"BYTES") -> bytes:
    contents = ModelInferRequest(raw_input_contents=[payload]).SerializeToString().replace(b":", b"*", 1)
    return _input(b"\x0a\1a\x12%c%b\x1a\2\xd8\x36" % (len(datatype), datatype) + contents)


SWOLLEN = {
    "inputs": b"\x2a\0" * 5000,
    "inputs before raw contents": b"\x2a\0" * 5000 + b"\x3a\0",
    "outputs": b"\x32\0" * 5000,
    "parameters": b"\x22\0" * 5000,
    "raw contents": b"\x3a\0" * 5000,
    "raw contents first": b"\x3a\0" * 5000 + b"\x0a\x03mlp",
    "fields of one input": _input(b"\x22\0" * 5000),
    "fields of one output": b"\x32" + _input(b"\x12\0" * 5000)[6:],
    "unknown fields": b"\x98\x06\x01" * 5000,
    "groups": b"\x9b\x06\x9c\x06" * 5000,
    "a long shape": _input(b"\x1a\x80\x80\x80\x01" + bytes(1 << 21)),
    "a long name": b"\x0a\x80\x80\x80\x01" + b"a" * (1 << 21),
    "strings": _contents(b"\x42\0" * 7000),
    "long strings": _contents((b"\x42\x80\x01" + bytes(128)) * 7000),
    "whole numbers": _contents(b"\x1a\xd8\x36" + b"\1" * 7000, b"INT64"),
    "whole numbers one by one": _contents(b"\x18\1" * 7000, b"INT64"),
    "truths": _contents(b"\x0a\xd8\x36" + b"\1" * 7000, b"BOOL"),
    "no numbers": _contents(b"\x1a\x80\x80\x08" + b"\x80" * (1 << 17), b"INT64"),
    "whole numbers in parts without any": _contents(b"\x1a\0" * 20_000, b"INT64"),
    "floats in parts without any": _contents(b"\x32\0" * 20_000, b"FP32"),
    "floats one by one": _contents(b"\x35\0\0\0\0" * 7000, b"FP32"),
    "unknown fields of contents": _contents(b"\x98\x06\x01" * 7000),
    "other fields of contents": _contents(b"\x98\x06\x01" * 7000, b"FP64"),
}


@pytest.mark.parametrize("message", SWOLLEN.values(), ids=SWOLLEN)
def test_what_would_grow_is_refused_before_it_is_parsed(message: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    class Unparsed:
        FromString = staticmethod(_little)

    monkeypatch.setattr(extent, "ModelInferRequest", Unparsed)
    with pytest.raises((TooLarge, BadRequest)):
        decoded(Codec(LIMITS), message)


@pytest.mark.parametrize("name", [name for name in SWOLLEN if "parts" in name])
def test_parts_without_values_are_counted(name: str) -> None:
    with pytest.raises(TooLarge, match="raw_input_contents"):
        decoded(Codec(LIMITS), SWOLLEN[name])


@pytest.mark.parametrize("count", [5999, 6000, 6001])
def test_so_many_single_values_are_taken_over_all_inputs(count: int) -> None:
    asked = typed("INT32", [3000], int_contents=[300] * 3000)
    asked.inputs.add(name="b", datatype="BYTES", shape=[count - 3000]).contents.bytes_contents.extend(
        [b"a" * 200, *[b"a"] * (count - 3001)]
    )
    message = asked.SerializeToString()
    if count > LIMITS.max_typed_elements:
        with pytest.raises(TooLarge, match="raw_input_contents"):
            decoded(Codec(LIMITS), message)
    else:
        assert len(decoded(Codec(LIMITS), message).tensors) == 2


def test_floats_and_raw_contents_are_as_large_as_a_message() -> None:
    count = 1 << 19
    assert len(decoded(Codec(LIMITS), typed("FP32", [count], fp32_contents=[1.5] * count).SerializeToString())[1]) == 1
    raw = ModelInferRequest(raw_input_contents=[bytes(4 * count)]).SerializeToString()
    head = ModelInferRequest(model_name="mlp")
    head.inputs.add(name="input", datatype="FP32", shape=[count])
    # In an order of its own, so that all of it is parsed.
    assert len(decoded(Codec(LIMITS), raw + head.SerializeToString()).tensors[0].data) == 4 * count


@given(st.binary(min_size=4097, max_size=4500))
def test_any_large_bytes_are_a_request_or_a_refusal(message: bytes) -> None:
    with pytest.raises(ServingError):
        decoded(Codec(LIMITS), message)


def test_what_protobuf_takes_is_counted_and_nothing_else() -> None:
    whole = (
        request().SerializeToString()
        + b"\x9a\x06\xd0\x0f"
        + bytes(2000)
        + b"\x99\x06"
        + bytes(8)
        + b"\x9d\x06"
        + bytes(4)
    )
    padded = b"\x9a\x06\xb8\x17" + bytes(3000) + whole
    assert decoded(Codec(LIMITS), padded).tensors[0].data == floats(1, 2, 3, 6)
    for broken in (padded[:-1], padded + b"\x9f\x06", padded + b"\x98\x06" + b"\x80" * 11):
        with pytest.raises(BadRequest, match=r"no inference\.ModelInferRequest"):
            decoded(Codec(LIMITS), broken)


@pytest.mark.parametrize("method", ["ServerMetadata", "ModelReady", "ModelStatistics", "RepositoryIndex"])
@pytest.mark.parametrize("over", [0, 1])
async def test_a_request_without_tensors_is_small(method: str, over: int) -> None:
    wire = Wire().greet()
    number = wire.begin(f"{INFERENCE}{method}".encode())
    # A field that nobody knows, of so many bytes with its tag and its size.
    filler = (
        b"\x9a\x06\xfb\xff\x03" + bytes((1 << 16) - 5) if not over else b"\x9a\x06\xfc\xff\x03" + bytes((1 << 16) - 4)
    )
    assert len(filler) == (1 << 16) + over
    wire.client.send_data(number, framed(filler), end_stream=True)
    for _ in range(3):
        wire.pump()
        await asyncio.sleep(0)
    wire.pump()
    assert (wire.calls[number].status == Code.RESOURCE_EXHAUSTED) is bool(over)


@pytest.mark.parametrize("method", ["RepositoryModelLoad", "RepositoryModelUnload"])
async def test_who_may_not_change_the_session_has_nothing_parsed(method: str) -> None:
    predictions = FakePredictions()
    predictions.administration = FakeAdministration()
    wire = Wire(predictions=predictions).greet()
    number = wire.begin(f"{INFERENCE}{method}".encode())
    wire.client.send_data(number, framed(b"no message"), end_stream=True)
    for _ in range(2):
        wire.pump()
        await asyncio.sleep(0)
    wire.take()
    assert wire.calls[number].status == Code.UNAUTHENTICATED
