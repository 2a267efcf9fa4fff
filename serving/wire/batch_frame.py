"""RUN, RESULT and FAILED: a batch on its way to a version, and what became of it.

RUN is `u32 ttl in ms · u32 rows · u16 tensors · u16 given · u32 alone · tensors`, RESULT `u16 tensors · u16 tenths of
a millisecond that it had waited in the replica · u32 microseconds of the run · tensors`, FAILED `u16 length of the
reason · reason · text`, both UTF-8. CANCEL, GOAWAY and BEGUN are heads without a payload. BEGUN precedes the run of a
batch that is to run alone, which is blamed for a crash only if it ran. `given` has the bits of the optional inputs that
follow the others; a gateway that knows of none sends 0, as does a replica that does not measure its runs, or the wait.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from struct import Struct
from typing import Final, NamedTuple

from serving.errors import ModelFailed, ServingError, StreamRefused, error_of
from serving.inference import Batch, Buffer, Signature, Tensor
from serving.wire.frame import FAILED, RESULT, RUN, Frame, encode
from serving.wire.tensors import append_stacked, append_tensors, decode

# The reason with which a cancelled batch is acknowledged; no error has it, since nobody waits for it.
CANCELLED: Final = "cancelled"

_RUN = Struct("<IIHHI")
_RESULT = Struct("<HHI")
_RUN_HEAD = Struct("<IBBHQIIHHI")
_RESULT_HEAD = Struct("<IBBHQHHI")
_REASON = Struct("<H")
_LONGEST_TEXT = 4000
_LONGEST_TTL_MS = 2**32 - 1
_LONGEST_RUN_US = 2**32 - 1
_LONGEST_WAIT = 2**16 - 1


class Run(NamedTuple):
    """The numbers of a RUN frame; `start` is where the first tensor begins."""

    ttl_ms: int
    rows: int
    tensors: int
    start: int
    alone: bool = False
    given: int = 0


def encode_run(batch: Batch, slot: int, batch_id: int, ttl_s: float) -> tuple[list[Buffer], int]:
    """The frame in pieces that together are one frame, and its length; rows are not copied.

    Raises:
        ModelFailed: a shape that the stream cannot carry.
    """
    parts: list[Buffer] = [b""]
    size = _RUN_HEAD.size + append_stacked(batch.inputs, parts)
    ttl_ms = min(max(int(ttl_s * 1000) + 1, 0), _LONGEST_TTL_MS)
    tensors, given = len(batch.inputs), batch.given
    parts[0] = _RUN_HEAD.pack(size - 4, RUN, 0, slot, batch_id, ttl_ms, batch.rows, tensors, given, batch.alone)
    return parts, size


def decode_run(frame: Frame) -> Run:
    """What a RUN frame asks, without its tensors.

    Raises:
        StreamRefused: the frame is too short.
    """
    try:
        ttl_ms, rows, count, given, alone = _RUN.unpack_from(frame.data, frame.start)
    except struct.error as error:
        raise StreamRefused("the peer sent a batch without numbers") from error
    return Run(ttl_ms, rows, count, frame.start + _RUN.size, alone == 1, given)


def decode_inputs(frame: Frame, run: Run, signature: Signature) -> tuple[Tensor, ...]:
    """The inputs of a RUN frame, large ones as views of it.

    Raises:
        ModelFailed: other inputs than the version has.
        StreamRefused: the bytes are no tensors.
    """
    specs = signature.given(run.given)
    if run.tensors != len(specs):
        raise ModelFailed(f"the batch has {run.tensors} inputs; the version takes {len(specs)}")
    return decode(specs, frame.data, run.start, frame.stop)


def encode_result(
    batch_id: int, tensors: Sequence[Tensor], run_s: float = 0.0, waited_s: float = 0.0
) -> tuple[list[Buffer], int]:
    """The frame in pieces, and its length; `run_s` is how long the batch ran, `waited_s` how long it had waited.

    Raises:
        ModelFailed: a shape that the stream cannot carry.
    """
    parts: list[Buffer] = [b""]
    size = _RESULT_HEAD.size + append_tensors(tensors, parts)
    run_us = min(int(run_s * 1e6), _LONGEST_RUN_US)
    waited = min(max(int(waited_s * 1e4), 0), _LONGEST_WAIT)
    parts[0] = _RESULT_HEAD.pack(size - 4, RESULT, 0, 0, batch_id, len(tensors), waited, run_us)
    return parts, size


def decode_result(frame: Frame, rows: int, signature: Signature) -> tuple[Tensor, ...]:
    """The outputs of a batch of `rows`, in the signature's order.

    Raises:
        ModelFailed: other outputs, or other rows, than were asked.
        StreamRefused: the bytes are no tensors.
    """
    data, start = frame.data, frame.start
    try:
        count = _RESULT.unpack_from(data, start)[0]
    except struct.error as error:
        raise StreamRefused("the peer sent an answer without numbers") from error
    specs = signature.outputs
    if count != len(specs):
        raise ModelFailed(f"the model answered with {count} outputs; its signature has {len(specs)}")
    tensors = decode(specs, data, start + _RESULT.size, frame.stop)
    if rows:
        for tensor in tensors:
            if not tensor.shape or tensor.shape[0] != rows:
                raise ModelFailed(f"the model answered {rows} rows with output {tensor.name!r} of shape {tensor.shape}")
    return tensors


def run_s_of(frame: Frame) -> float:
    """How long the batch of a RESULT frame that was decoded ran, in seconds; 0 where the replica does not say."""
    return float(_RESULT.unpack_from(frame.data, frame.start)[2]) / 1e6


def waited_s_of(frame: Frame) -> float:
    """How long that batch waited in the replica before it ran, in tenths of a millisecond; 6.5 s is that and more."""
    return float(_RESULT.unpack_from(frame.data, frame.start)[1]) / 1e4


def encode_failed(batch_id: int, reason: str, text: str = "") -> bytes:
    """Why a batch has no result; the text is for people and cut at 4,000 characters."""
    name = reason.encode()
    return encode(FAILED, _REASON.pack(len(name)) + name + text[:_LONGEST_TEXT].encode(), batch_id=batch_id)


def decode_failed(frame: Frame) -> ServingError | None:
    """The error that the replica's words stand for; None where a cancelled batch is acknowledged.

    Raises:
        StreamRefused: the bytes are no such frame.
    """
    payload = frame.payload
    try:
        stop = _REASON.size + _REASON.unpack_from(payload)[0]
        reason, text = payload[_REASON.size : stop].decode(), payload[stop:].decode()
    except (struct.error, UnicodeDecodeError) as error:
        raise StreamRefused("the peer sent a failure without a reason") from error
    if reason == CANCELLED:
        return None
    return error_of(reason, text)
