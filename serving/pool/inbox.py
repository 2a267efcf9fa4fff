"""Batches that have arrived on one connection and not begun, and what becomes of them before they do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from serving.errors import StreamRefused
from serving.wire.batch_frame import CANCELLED, Run, decode_run, encode_failed
from serving.wire.frame import CANCEL, PING, PONG, RUN, Frame, encode
from serving.wire.waits_frame import Waits, decode_waits

# How much is read ahead of the batch that is about to run, in search of cancellations.
_AHEAD_BATCHES = 64
_AHEAD_BYTES = 64 * 1024 * 1024


class Waiting(NamedTuple):
    """A batch that may begin; its caller waits until `expires_at`, on this process's monotonic clock.

    The time counts from when the batch was read: while it lies in the socket, only a CANCEL can keep it from running.
    """

    frame: Frame
    run: Run
    expires_at: float

    def waited_s(self, now: float) -> float:
        """How long since it was read."""
        return now - self.expires_at + self.run.ttl_ms / 1000


def _nowhere(batch_id: int) -> bool:
    del batch_id
    return False


class Inbox:
    """Keeps batches in the order they came; a CANCEL takes one out, here or `elsewhere`, which tells whether it did.

    `waits` is what the gateway last told of those who wait, and when it did; None before.
    """

    def __init__(self, elsewhere: Callable[[int], bool] = _nowhere) -> None:
        self._elsewhere = elsewhere
        self._waiting: dict[int, Waiting] = {}
        self._bytes = 0
        self.waits: tuple[float, Waits] | None = None

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def full(self) -> bool:
        """So much has been read ahead that the rest waits in the socket."""
        return len(self._waiting) >= _AHEAD_BATCHES or self._bytes >= _AHEAD_BYTES

    def accept(self, frames: Iterable[Frame], now: float) -> bytes:
        """Take frames in; what they want answered at once is returned.

        Raises:
            StreamRefused: a frame that a gateway never sends.
        """
        answers = b""
        for frame in frames:
            if frame.kind == RUN:
                self._add(frame, now)
            elif frame.kind == CANCEL:
                answers += self._cancel(frame.batch_id)
            elif frame.kind == PING:
                answers += encode(PONG, batch_id=frame.batch_id)
                waits = decode_waits(frame)
                if waits is not None:
                    self.waits = now, waits
            else:
                raise StreamRefused(f"the gateway sent a frame of kind {frame.kind}, which only pools send")
        return answers

    def take(self) -> Waiting:
        """The oldest batch; there has to be one."""
        waiting = self._waiting.pop(next(iter(self._waiting)))
        self._bytes -= waiting.frame.stop - waiting.frame.start
        return waiting

    def _add(self, frame: Frame, now: float) -> None:
        if frame.batch_id in self._waiting:
            raise StreamRefused("the gateway sent two batches under one number")
        run = decode_run(frame)
        self._waiting[frame.batch_id] = Waiting(frame, run, now + run.ttl_ms / 1000)
        self._bytes += frame.stop - frame.start

    def _cancel(self, batch_id: int) -> bytes:
        # A batch that runs, or has been answered, is past cancelling: its answer is the acknowledgement.
        cancelled = self._waiting.pop(batch_id, None)
        if cancelled is None:
            return encode_failed(batch_id, CANCELLED) if self._elsewhere(batch_id) else b""
        self._bytes -= cancelled.frame.stop - cancelled.frame.start
        return encode_failed(batch_id, CANCELLED)
