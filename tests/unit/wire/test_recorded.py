"""Frames recorded from the first release: today's code reads them, and still writes the same bytes.

A gateway and a pool are upgraded apart, so a change that breaks one of these needs a new version of the stream.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from serving.errors import DeadlineExceeded, ModelFailed, ServingError
from serving.inference import Batch, Hosted, Signature, Stacked, Tensor, TensorSpec, VersionKey
from serving.wire.batch_frame import (
    CANCELLED,
    decode_failed,
    decode_inputs,
    decode_result,
    decode_run,
    encode_failed,
    encode_result,
    encode_run,
)
from serving.wire.catalogue import Catalogue, decode_catalogue, encode_catalogue
from serving.wire.frame import BEGUN, CANCEL, GOAWAY, PING, PONG, Frame, encode
from serving.wire.frame_reader import FrameReader
from serving.wire.handshake import (
    Challenge,
    Hello,
    decode_challenge,
    decode_hello,
    decode_welcome,
    encode_challenge,
    hello,
    welcome,
)
from serving.wire.waits_frame import Waits, decode_waits, encode_waits

RECORDED = Path(__file__).parents[2] / "fixtures" / "wire" / "v1"

SECRET = b"recorded secret"
CHALLENGE = Challenge((1,), bytes(range(16)))
NONCE = bytes(range(16, 32))
SIGNATURE = Signature(
    (TensorSpec("x", "FP32", (-1, 3)), TensorSpec("word", "BYTES", (-1,)), TensorSpec("flag", "BOOL", (-1, 1))),
    (TensorSpec("y", "FP64", (-1,)), TensorSpec("n", "INT64", ())),
)
CATALOGUE = Catalogue(
    {
        0: Hosted(VersionKey("flight-delay", 1), SIGNATURE, batchable=True, max_rows=64, run_s=0.0005),
        7: Hosted(VersionKey("modèle", 12), SIGNATURE, batchable=False, note="rows influence each other"),
    },
    {VersionKey("broken", 3): "model.onnx ends early"},
    settled=True,
)
# Came later: a gateway that does not know of optional inputs reads all else of it, and never gives any.
OPTIONAL = Signature(SIGNATURE.inputs, SIGNATURE.outputs, (TensorSpec("k", "FP32", (), optional=True),) * 2)
LATER = Catalogue({0: Hosted(VersionKey("flight-delay", 1), OPTIONAL, batchable=True)}, settled=True)
X = struct.pack("<6f", 1, 2, 3, 4, 5, 6)
WORDS = b"\x02\x00\x00\x00ab\x00\x00\x00\x00"
INPUTS = [Tensor("x", "FP32", (2, 3), X), Tensor("word", "BYTES", (2,), WORDS), Tensor("flag", "BOOL", (2, 1), b"\1\0")]
OUTPUTS = [Tensor("y", "FP64", (2,), struct.pack("<2d", 0.25, -1)), Tensor("n", "INT64", (), struct.pack("<q", 9))]

WAITS = Waits(0.034, 0.015, 0.02, 7)


def run(*, alone: bool = False) -> bytes:
    inputs = (
        Stacked("x", "FP32", (2, 3), [X[:12], X[12:]]),
        Stacked("word", "BYTES", (2,), [WORDS]),
        Stacked("flag", "BOOL", (2, 1), [b"\1", b"\0"]),
    )
    batch = Batch(VersionKey("flight-delay", 1), inputs, 2, 0.0, alone=alone)
    return b"".join(encode_run(batch, 7, 2**40 + 1, 0.25)[0])


def run_given() -> bytes:
    inputs = [Stacked(tensor.name, tensor.datatype, tensor.shape, [tensor.data]) for tensor in INPUTS]
    inputs.append(Stacked("k", "FP32", (), [b"\0\0\0\0"]))
    batch = Batch(VersionKey("flight-delay", 1), tuple(inputs), 0, 0.0, given=2)
    return b"".join(encode_run(batch, 7, 2**40 + 1, 0.25)[0])


def answer() -> Hello:
    return decode_hello(frame_of(hello(CHALLENGE, SECRET, "gateway:42", NONCE, versions=(1,))))


WRITTEN: dict[str, Callable[[], bytes]] = {
    "challenge": lambda: encode_challenge(CHALLENGE),
    "hello": lambda: hello(CHALLENGE, SECRET, "gateway:42", NONCE, versions=(1,)),
    "welcome": lambda: welcome(CHALLENGE, answer(), SECRET, 67112960),
    "catalogue": lambda: encode_catalogue(CATALOGUE),
    "run": run,
    "begun": lambda: encode(BEGUN, batch_id=2**40 + 1),
    "run_alone": lambda: run(alone=True),
    "run_given": run_given,
    "catalogue_optional": lambda: encode_catalogue(LATER),
    "cancel": lambda: encode(CANCEL, batch_id=2**40 + 1),
    "result": lambda: b"".join(encode_result(2**40 + 1, OUTPUTS)[0]),
    "failed": lambda: encode_failed(2**40 + 1, "deadline_exceeded", "too late by 40 µs"),
    "cancelled": lambda: encode_failed(2**40 + 1, CANCELLED),
    "ping": lambda: encode(PING),
    "ping_waits": lambda: encode_waits(WAITS),
    "pong": lambda: encode(PONG),
    "goaway": lambda: encode(GOAWAY),
}


def recorded(name: str) -> bytes:
    return bytes.fromhex((RECORDED / f"{name}.hex").read_text())


def frame_of(data: bytes) -> Frame:
    (frame,) = FrameReader(2**20).feed(data)
    return frame


@pytest.mark.parametrize("name", WRITTEN)
def test_the_same_bytes_are_written_as_by_the_first_release(name: str) -> None:
    assert WRITTEN[name]().hex() == recorded(name).hex()


def test_every_recorded_frame_is_checked() -> None:
    assert {path.stem for path in RECORDED.glob("*.hex")} == set(WRITTEN)


def test_the_handshake_of_the_first_release_is_read() -> None:
    assert decode_challenge(frame_of(recorded("challenge"))) == CHALLENGE
    said = decode_hello(frame_of(recorded("hello")))
    assert (said.versions, said.name, said.nonce) == ((1,), "gateway:42", NONCE)
    # Its proof is accepted by today's pool, and that pool's proof by today's gateway.
    assert welcome(CHALLENGE, said, SECRET, 67112960) == recorded("welcome")
    chosen = decode_welcome(frame_of(recorded("welcome")), CHALLENGE, NONCE, SECRET)
    assert (chosen.version, chosen.frame_bytes) == (1, 67112960)


def test_the_catalogue_of_the_first_release_is_read() -> None:
    assert decode_catalogue(frame_of(recorded("catalogue"))) == CATALOGUE


def test_a_batch_of_the_first_release_is_read() -> None:
    frame = frame_of(recorded("run"))
    asked = decode_run(frame)
    assert (frame.slot, frame.batch_id, asked.rows, asked.ttl_ms, asked.alone) == (7, 2**40 + 1, 2, 251, False)
    assert decode_run(frame_of(recorded("run_alone"))).alone
    assert list(decode_inputs(frame, asked, SIGNATURE)) == INPUTS


def test_optional_inputs_are_read_and_are_no_concern_of_who_does_not_know_them() -> None:
    assert decode_catalogue(frame_of(recorded("catalogue_optional"))) == LATER
    (entry,) = json.loads(frame_of(recorded("catalogue_optional")).payload)["hosted"]
    assert [len(spec) for spec in entry["inputs"]] == [3, 3, 3]
    frame = frame_of(recorded("run_given"))
    asked = decode_run(frame)
    assert asked.given == 2
    assert list(decode_inputs(frame, asked, OPTIONAL)) == [*INPUTS, Tensor("k", "FP32", (), bytes(4))]
    with pytest.raises(ModelFailed, match="4 inputs"):
        decode_inputs(frame, asked, SIGNATURE)


def test_an_answer_of_the_first_release_is_read() -> None:
    frame = frame_of(recorded("result"))
    assert frame.batch_id == 2**40 + 1
    assert list(decode_result(frame, 0, SIGNATURE)) == OUTPUTS


def test_a_failure_of_the_first_release_is_read() -> None:
    error = decode_failed(frame_of(recorded("failed")))
    assert isinstance(error, ServingError)
    assert (type(error), error.message) == (DeadlineExceeded, "too late by 40 µs")
    assert decode_failed(frame_of(recorded("cancelled"))) is None


def test_what_is_told_of_those_who_wait_is_a_ping_to_who_knows_nothing_of_it() -> None:
    frame = frame_of(recorded("ping_waits"))
    assert frame.kind == PING
    assert decode_waits(frame) == WAITS
    assert decode_waits(frame_of(recorded("ping"))) is None
