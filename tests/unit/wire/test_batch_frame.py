"""A batch and its answer come out of their frames as they went in; nothing that arrives can do harm."""

from __future__ import annotations

import contextlib
import struct
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import DeadlineExceeded, ModelFailed, NotReady, ServingError, StreamRefused
from serving.inference import ELEMENT_SIZE, Batch, Buffer, Signature, Stacked, Tensor, TensorSpec, VersionKey
from serving.wire.batch_frame import (
    CANCELLED,
    decode_failed,
    decode_inputs,
    decode_result,
    decode_run,
    encode_failed,
    encode_result,
    encode_run,
    run_s_of,
    waited_s_of,
)
from serving.wire.frame import FAILED, RESULT, RUN, Frame
from serving.wire.frame_reader import FrameReader
from serving.wire.tensors import DATATYPES

KEY = VersionKey("m", 1)
LIMIT = 2**24


def frame_of(parts: list[Buffer] | bytes) -> Frame:
    (frame,) = FrameReader(LIMIT).feed(parts if isinstance(parts, bytes) else b"".join(parts))
    return frame


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    datatype = draw(st.sampled_from(DATATYPES))
    shape = tuple(draw(st.lists(st.integers(0, 5), max_size=4)))
    if datatype == "BYTES":
        elements = [draw(st.binary(max_size=9)) for _ in range(prod(shape))]
        data = b"".join(struct.pack("<I", len(element)) + element for element in elements)
    else:
        size = ELEMENT_SIZE[datatype] * prod(shape)
        data = draw(st.binary(min_size=size, max_size=size))
    return Tensor(draw(st.text(max_size=5)), datatype, shape, data)


def specs(of: list[Tensor]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(tensor.name, tensor.datatype, tensor.shape) for tensor in of)


def stacked(tensor: Tensor, cut: int) -> Stacked:
    return Stacked(tensor.name, tensor.datatype, tensor.shape, [tensor.data[:cut], memoryview(tensor.data)[cut:]])


@given(st.lists(tensors(), max_size=4), st.integers(0, 40), st.integers(0, 2**16 - 1), st.integers(0, 2**64 - 1))
def test_a_batch_comes_out_as_it_went_in(sent: list[Tensor], cut: int, slot: int, batch_id: int) -> None:
    batch = Batch(KEY, tuple(stacked(tensor, cut) for tensor in sent), 7, 0.0)
    parts, size = encode_run(batch, slot, batch_id, 1.5)
    assert size == sum(map(len, parts))
    assert size % 8 == 0
    frame = frame_of(parts)
    assert (frame.kind, frame.slot, frame.batch_id) == (RUN, slot, batch_id)
    run = decode_run(frame)
    assert (run.rows, run.ttl_ms) == (7, 1501)
    assert list(decode_inputs(frame, run, Signature(specs(sent), ()))) == sent


@given(st.lists(tensors(), max_size=4), st.integers(0, 2**64 - 1))
def test_an_answer_comes_out_as_it_went_in(sent: list[Tensor], batch_id: int) -> None:
    parts, size = encode_result(batch_id, sent)
    assert size == sum(map(len, parts))
    assert size % 8 == 0
    frame = frame_of(parts)
    assert (frame.kind, frame.batch_id) == (RESULT, batch_id)
    assert list(decode_result(frame, 0, Signature((), specs(sent)))) == sent


@given(st.binary(max_size=120), st.integers(0, 3), st.integers(0, 5))
def test_any_payload_of_an_answer_is_tensors_or_refused(payload: bytes, outputs: int, rows: int) -> None:
    signature = Signature((), tuple(TensorSpec(str(index), "FP32", (-1,)) for index in range(outputs)))
    head = struct.pack("<HHI", outputs, 0, 0) if outputs else b""
    data = head + payload
    with contextlib.suppress(StreamRefused, ModelFailed):
        decode_result(Frame(RESULT, 0, 1, data, 0, len(data)), rows, signature)


@given(st.lists(tensors(), min_size=1, max_size=3), st.data())
def test_a_batch_with_wrong_bytes_is_tensors_or_refused(sent: list[Tensor], data: st.DataObject) -> None:
    parts, size = encode_run(Batch(KEY, tuple(stacked(tensor, 0) for tensor in sent), 1, 0.0), 0, 1, 1.0)
    torn = bytearray(b"".join(parts))
    torn[data.draw(st.integers(16, size - 1))] = data.draw(st.integers(0, 255))
    stop = data.draw(st.integers(16, size))
    frame = Frame(RUN, 0, 1, torn, 16, stop)
    with contextlib.suppress(StreamRefused, ModelFailed):
        decode_inputs(frame, decode_run(frame), Signature(specs(sent), ()))


@pytest.mark.parametrize("shape", [(2, 1), (4,), ()])
def test_an_answer_with_other_rows_than_were_asked_is_the_models_failure(shape: tuple[int, ...]) -> None:
    tensor = Tensor("y", "FP32", shape, bytes(4 * prod(shape)))
    parts, _ = encode_result(1, [tensor])
    with pytest.raises(ModelFailed, match="answered 3 rows with output 'y'"):
        decode_result(frame_of(parts), 3, Signature((), specs([tensor])))


def test_an_answer_with_other_outputs_than_the_signature_is_the_models_failure() -> None:
    parts, _ = encode_result(1, [])
    with pytest.raises(ModelFailed, match="answered with 0 outputs; its signature has 1"):
        decode_result(frame_of(parts), 1, Signature((), (TensorSpec("y", "FP32", (-1,)),)))


def test_a_shape_that_does_not_fit_the_stream_is_told() -> None:
    tensor = Tensor("y", "FP32", (2**33, 0), b"")
    with pytest.raises(ModelFailed, match="cannot carry"):
        encode_result(1, [tensor])


@pytest.mark.parametrize(("ttl_s", "ttl_ms"), [(-5.0, 0), (0.0, 1), (0.02, 21), (1e9, 2**32 - 1)])
def test_time_to_live_is_rounded_up_and_kept_in_its_field(ttl_s: float, ttl_ms: int) -> None:
    parts, _ = encode_run(Batch(KEY, (), 1, 0.0), 0, 1, ttl_s)
    assert decode_run(frame_of(parts)).ttl_ms == ttl_ms


def every_error(root: type[ServingError] = ServingError) -> list[type[ServingError]]:
    return [root, *(error for child in root.__subclasses__() for error in every_error(child))]


@pytest.mark.parametrize("error", every_error())
def test_every_error_arrives_as_what_it_was(error: type[ServingError]) -> None:
    arrived = decode_failed(frame_of(encode_failed(3, error.reason, "why: 42 µs")))
    assert type(arrived) is error
    assert arrived.message == "why: 42 µs"


def test_an_unknown_reason_is_the_models_failure() -> None:
    assert type(decode_failed(frame_of(encode_failed(3, "of a later release", "why")))) is ModelFailed


def test_the_acknowledgement_of_a_cancelled_batch_is_no_error() -> None:
    assert decode_failed(frame_of(encode_failed(3, CANCELLED))) is None


def test_long_texts_are_cut() -> None:
    arrived = decode_failed(frame_of(encode_failed(3, NotReady.reason, "x" * 100_000)))
    assert arrived is not None
    assert len(arrived.message) == 4000


@given(st.binary(max_size=40))
def test_any_payload_of_a_failure_is_an_error_or_refused(payload: bytes) -> None:
    with contextlib.suppress(StreamRefused):
        decode_failed(Frame(FAILED, 0, 1, payload, 0, len(payload)))


def test_reasons_are_unique() -> None:
    assert DeadlineExceeded in every_error()
    assert len({error.reason for error in every_error()}) == len(every_error())


@pytest.mark.parametrize(
    ("waited_s", "told"), [(0.0, 0.0), (0.00009, 0.0), (0.01234, 0.0123), (100.0, 6.5535), (-1.0, 0.0)]
)
def test_how_long_a_batch_waited_and_ran_in_the_replica_comes_with_its_answer(waited_s: float, told: float) -> None:
    frame = frame_of(encode_result(1, [], 0.0025, waited_s)[0])
    assert waited_s_of(frame) == told
    assert run_s_of(frame) == 0.0025
