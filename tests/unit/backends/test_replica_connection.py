"""The gateway's end of one connection, driven frame by frame."""

from __future__ import annotations

import asyncio
import struct
from typing import cast

import pytest

from serving.backends.pool_options import PoolOptions
from serving.backends.replica_connection import Opening, ReplicaConnection
from serving.errors import DeadlineExceeded, ModelFailed, NotReady, ReplicaLost, StreamRefused
from serving.inference import Batch, Hosted, Outputs, Signature, Stacked, Tensor, TensorSpec, VersionKey
from serving.wire.batch_frame import CANCELLED, encode_failed, encode_result
from serving.wire.catalogue import Catalogue, encode_catalogue
from serving.wire.frame import BEGUN, CANCEL, GOAWAY, HELLO, PING, PONG, RUN, Frame, encode
from serving.wire.frame_reader import FrameReader
from serving.wire.handshake import Challenge, decode_hello, encode_challenge, refusal, welcome

KEY = VersionKey("m", 1)
SIGNATURE = Signature((TensorSpec("x", "FP32", (-1, 1)),), (TensorSpec("y", "FP32", (-1, 1)),))
CATALOGUE = Catalogue({4: Hosted(KEY, SIGNATURE, batchable=True)}, {}, settled=True)
SECRET = b"secret"
OPTIONS = PoolOptions(silence_s=1.0, tick_s=0.25, ping_s=0.5)


class Wire:
    """A transport that keeps what is written, with the pool's side of the talk."""

    def __init__(self, secret: bytes = SECRET) -> None:
        self.changes = 0
        self.answers = 0
        self.closed = False
        self.aborted = False
        self._reader = FrameReader(2**26)
        self._frames: list[Frame] = []
        self._secret = secret
        self.connection = ReplicaConnection(
            Opening("r1", "gw", SECRET, OPTIONS, lambda: 100.0, self._changed, self._answered)
        )
        self.connection.connection_made(cast("asyncio.Transport", self))

    def _changed(self) -> None:
        self.changes += 1

    def _answered(self) -> None:
        self.answers += 1

    def set_write_buffer_limits(self, high: int) -> None:
        assert high == OPTIONS.write_bytes

    def get_extra_info(self, name: str) -> None:
        return None

    def is_closing(self) -> bool:
        return self.closed or self.aborted

    def write(self, data: bytes) -> None:
        assert not self.is_closing(), "written to a closing transport"
        self._frames += self._reader.feed(bytes(data))

    def writelines(self, parts: list[bytes]) -> None:
        self.write(b"".join(parts))

    def given_up(self) -> bool:
        return self.aborted

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def frames(self) -> list[Frame]:
        """What was written since the last look."""
        frames, self._frames = self._frames, []
        return frames

    def sent(self) -> list[tuple[int, int]]:
        """Kinds and batch numbers since the last look."""
        return [(frame.kind, frame.batch_id) for frame in self.frames()]

    def says(self, *frames: bytes) -> None:
        self.connection.data_received(b"".join(frames))

    def shake(self) -> None:
        challenge = Challenge((1,), b"n" * 16)
        self.says(encode_challenge(challenge))
        (answer,) = self._frames
        self._frames = []
        assert answer.kind == HELLO
        self.says(welcome(challenge, decode_hello(answer), self._secret, 10_000), encode_catalogue(CATALOGUE))


def ready() -> Wire:
    wire = Wire()
    wire.shake()
    assert wire.connection.free
    return wire


def batch(rows: int = 2) -> Batch:
    return Batch(KEY, (Stacked("x", "FP32", (rows, 1), [bytes(4)] * rows),), rows, 101.0)


def result(batch_id: int, *values: float) -> bytes:
    tensor = Tensor("y", "FP32", (len(values), 1), struct.pack(f"<{len(values)}f", *values))
    return b"".join(encode_result(batch_id, [tensor])[0])


async def flying(wire: Wire, *rows: int) -> list[asyncio.Task[Outputs]]:
    tasks = [asyncio.create_task(wire.connection.run(batch(count))) for count in rows]
    await asyncio.sleep(0)
    return tasks


async def test_it_is_ready_with_the_first_catalogue() -> None:
    wire = Wire()
    assert not wire.connection.ready.done()
    wire.shake()
    assert wire.connection.ready.done()
    assert wire.changes == 1


async def test_answers_find_their_batches_in_any_order_and_torn() -> None:
    wire = ready()
    one, two = await flying(wire, 1, 2)
    assert wire.sent() == [(RUN, 1), (RUN, 2)]
    assert wire.connection.rows == 3
    stream = result(2, 5, 6) + result(1, 7)
    for index in range(len(stream)):
        wire.says(stream[index : index + 1])
    assert struct.unpack("<f", (await one).tensors[0].data) == (7.0,)
    assert struct.unpack("<2f", (await two).tensors[0].data) == (5.0, 6.0)
    assert wire.connection.rows == 0


async def test_failures_reach_their_batch_alone() -> None:
    wire = ready()
    one, two, three = await flying(wire, 1, 1, 1)
    wire.says(
        encode_failed(1, "model_failed", "no"), encode_failed(2, "deadline_exceeded", "late"), result(3, 1.0, 2.0)
    )
    for task, error in ((one, ModelFailed), (two, DeadlineExceeded), (three, ModelFailed)):
        with pytest.raises(error):
            await task
    assert not wire.given_up()


async def test_a_cancelled_batch_counts_until_the_replica_says_what_became_of_it() -> None:
    wire = ready()
    (task,) = await flying(wire, 2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert wire.sent() == [(RUN, 1), (CANCEL, 1)]
    assert wire.connection.rows == 2
    wire.says(encode_failed(1, CANCELLED))
    assert wire.connection.rows == 0


async def test_a_late_answer_to_a_cancelled_batch_is_dropped() -> None:
    wire = ready()
    (task,) = await flying(wire, 1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    wire.says(result(1, 3.0))
    assert (wire.connection.rows, wire.given_up()) == (0, False)


async def test_what_the_caller_no_longer_waits_for_is_not_cancelled_when_it_was_answered() -> None:
    wire = ready()
    (task,) = await flying(wire, 1)
    wire.says(result(1, 3.0))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert wire.sent() == [(RUN, 1)]


async def test_leaving_answers_what_is_in_flight_then_closes() -> None:
    wire = ready()
    (task,) = await flying(wire, 1)
    wire.says(encode(GOAWAY))
    assert not wire.connection.free
    assert wire.is_closing() is False
    wire.says(result(1, 3.0))
    await task
    assert wire.closed
    wire.connection.connection_lost(None)
    assert await wire.connection.ended == "the replica is leaving"


async def test_a_pool_that_sends_garbage_is_left_and_its_batches_fail() -> None:
    for garbage in (b"x" * 64, result(77, 1.0), encode(RUN), encode(7, batch_id=1), result(1)[:24] + b"\xff" * 24):
        wire = ready()
        (task,) = await flying(wire, 1)
        wire.says(garbage)
        assert wire.given_up()
        wire.connection.connection_lost(None)
        with pytest.raises(ReplicaLost, match="r1 was lost"):
            await task


async def test_a_pool_that_refuses_is_quoted() -> None:
    wire = Wire()
    wire.says(encode_challenge(Challenge((2,), b"n" * 16)))
    wire.says(refusal(StreamRefused("speaks 2, was offered 1")))
    wire.connection.connection_lost(None)
    with pytest.raises(StreamRefused, match="speaks 2, was offered 1"):
        await wire.connection.ready


async def test_a_pool_that_cannot_prove_the_secret_gets_no_batches() -> None:
    wire = Wire(secret=b"another")
    challenge = Challenge((1,), b"n" * 16)
    wire.says(encode_challenge(challenge))
    (answer,) = wire._frames
    forged = decode_hello(answer)
    # It accepts any gateway, but its own proof is made with what it has.
    proven = forged.__class__(forged.versions, forged.name, forged.nonce, _client_proof(forged.nonce))
    wire.says(welcome(challenge, proven, b"another", 1000), encode_catalogue(CATALOGUE))
    assert wire.given_up()
    assert not wire.connection.free


def _client_proof(nonce: bytes) -> bytes:
    from serving.wire.handshake import hello

    (frame,) = FrameReader().feed(hello(Challenge((1,), b"n" * 16), b"another", "gw", nonce))
    return decode_hello(frame).proof


async def test_a_paused_writer_is_not_free() -> None:
    wire = ready()
    wire.connection.pause_writing()
    paused, before = wire.connection.free, wire.answers
    wire.connection.resume_writing()
    assert (paused, wire.connection.free) == (False, True)
    assert wire.answers == before + 1


async def test_a_reservation_ends_when_what_its_holder_sent_is_answered() -> None:
    wire = ready()
    wire.connection.reserve()
    assert not wire.connection.free
    (task,) = await flying(wire, 1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    wire.connection.release()
    before = wire.connection.free
    wire.says(encode_failed(1, CANCELLED))
    assert (before, wire.connection.free) == (False, True)


async def test_silence_while_a_batch_is_due_is_a_loss() -> None:
    wire = ready()
    (task,) = await flying(wire, 1)
    for _ in range(5):
        wire.connection.tick()
    assert not wire.given_up()
    wire.connection.tick()
    assert wire.given_up()
    wire.connection.connection_lost(None)
    with pytest.raises(ReplicaLost, match="said nothing for 1 s"):
        await task


async def test_of_what_is_lost_only_the_oldest_in_order_and_what_was_told_to_have_begun_may_have_run() -> None:
    wire = ready()
    tasks = await flying(wire, 1, 1, 1, 1)
    wire.says(encode(BEGUN, batch_id=1) + encode(BEGUN, batch_id=3))
    wire.connection.connection_lost(None)
    lost = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(one, ReplicaLost) and one.started for one in lost] == [True, True, True, False]


async def test_a_pulse_keeps_a_long_run_alive() -> None:
    wire = ready()
    (task,) = await flying(wire, 1)
    for _ in range(40):
        wire.connection.tick()
        wire.says(encode(PONG))
    assert not wire.given_up()
    wire.says(result(1, 1.0))
    await task


async def test_an_idle_replica_is_asked_and_lost_when_it_does_not_answer() -> None:
    wire = ready()
    for _ in range(4):
        wire.connection.tick()
    assert (PING, 0) in wire.sent()
    for _ in range(6):
        wire.connection.tick()
    assert wire.given_up()


async def test_an_idle_replica_that_answers_stays() -> None:
    wire = ready()
    for _ in range(60):
        wire.connection.tick()
        wire.says(*(encode(PONG) for kind, _ in wire.sent() if kind == PING))
    assert not wire.given_up()


async def test_stopping_says_not_ready() -> None:
    wire = ready()
    (task,) = await flying(wire, 1)
    wire.connection.abort(NotReady("the gateway is stopping"))
    wire.connection.connection_lost(None)
    with pytest.raises(NotReady, match="stopping"):
        await task


async def test_a_connection_that_is_given_up_before_it_is_made_is_closed() -> None:
    wire = Wire()
    late = ReplicaConnection(Opening("r1", "gw", SECRET, OPTIONS, lambda: 100.0, lambda: None, lambda: None))
    late.abort(TimeoutError("too late"))
    late.connection_made(cast("asyncio.Transport", wire))
    assert wire.closed


async def test_a_catalogue_of_many_versions_may_arrive_with_the_welcome() -> None:
    wire = Wire()
    challenge = Challenge((1,), b"n" * 16)
    wire.says(encode_challenge(challenge))
    keys = [VersionKey(f"model {number}", 1) for number in range(300)]
    many = Catalogue({slot: Hosted(key, SIGNATURE, batchable=True) for slot, key in enumerate(keys)})
    wire.says(welcome(challenge, decode_hello(wire._frames[0]), SECRET, 10_000), encode_catalogue(many))
    assert wire.connection.free
    assert wire.connection.catalogue == many
