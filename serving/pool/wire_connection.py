"""One gateway's connection: a thread that reads batches, runs them one after another and writes the answers.

Everything of a batch happens on one thread, since a hand-over to another costs more than the run of a small model; only
what runs long is handed over, so that small models do not wait behind it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from serving.errors import StreamRefused
from serving.inference import Buffer
from serving.pool.aside import Aside
from serving.pool.batch_answer import answer, expired
from serving.pool.host import Host
from serving.pool.inbox import Inbox, Waiting
from serving.pool.looking import Looking, Turn
from serving.pool.permits import RunPermits
from serving.pool.run_lengths import RunLengths
from serving.pool.wire_options import WireOptions
from serving.wire.catalogue import Catalogue, encode_catalogue
from serving.wire.frame import BEGUN, Frame, encode
from serving.wire.frame_reader import FrameReader
from serving.wire.handshake import (
    NONCE_BYTES,
    SPOKEN,
    Challenge,
    Hello,
    decode_hello,
    encode_challenge,
    refusal,
    welcome,
)
from serving.wire.waits_frame import Waits

log = logging.getLogger(__name__)

_READ_BYTES = 65536


@dataclass(slots=True)
class Published:
    """What all connections of a server tell; replaced whole, by the server alone."""

    catalogue: Catalogue


@dataclass(frozen=True, slots=True)
class Shared:
    """What a server gives each connection; `permits` bound what runs at once, `lengths` tells what will run long.

    `looking` is held by the one thread that looks for its next batch without sleeping.
    """

    host: Host
    secret: bytes
    options: WireOptions
    published: Published
    permits: RunPermits
    lengths: RunLengths
    looking: Turn
    clock: Callable[[], float] = time.monotonic


class WireConnection:
    """`serve` is called once, on the connection's own thread; the other methods on any."""

    def __init__(self, peer: socket.socket, shared: Shared) -> None:
        self._socket = peer
        self._shared = shared
        self._reader = FrameReader()
        self._aside = Aside(self._answer_aside, shared.clock)
        self._inbox = Inbox(self._aside.cancel)
        self._writing = threading.Lock()
        self._emptied = False
        self._handed: Waiting | None = None
        self._looking = Looking(shared.options.look_s, shared.looking, shared.clock)
        self._busy_since: float | None = None
        # Each is written by one thread alone.
        self._ran_s = self._ran_aside_s = 0.0
        self.welcomed = False
        self.told: Catalogue | None = None
        self.told_to_leave = False

    def serve(self) -> None:
        """Answer batches until the gateway leaves, breaks the rules, or `close` is called."""
        try:
            self._handshake()
            self._work()
        except StreamRefused as error:
            log.warning("a gateway's connection was ended: %s", error)
        except OSError as error:
            log.info("a gateway's connection broke: %s", error)
        finally:
            self._aside.close()
            self._socket.close()

    @property
    def busy_since(self) -> float | None:
        """Since when a batch runs or arrives; None while none does."""
        return self._busy_since if self._busy_since is not None else self._aside.since

    def ran_s(self, now: float) -> float:
        """How long batches ran here, in seconds; a long one that runs counts so far."""
        since = self._aside.since
        return self._ran_s + self._ran_aside_s + (0.0 if since is None else max(now - since, 0.0))

    def waits(self, since: float) -> Waits | None:
        """What the gateway told of those who wait; None where it has told nothing since then."""
        told = self._inbox.waits
        return told[1] if told is not None and told[0] >= since else None

    def tell(self) -> None:
        """Send what is hosted by then; waits for a gateway that reads slowly, so a thread of its own calls it."""
        try:
            with self._writing:
                self._socket.sendall(encode_catalogue(self._shared.published.catalogue))
        except OSError:
            # Half of it may be written, and nothing can follow that.
            self.close()

    def push(self, frame: bytes) -> bool:
        """Send a frame without payload from another thread if that can be done at once; tell whether it was."""
        if not self._writing.acquire(blocking=False):
            return False
        try:
            if not _writable(self._socket):
                return False
            self._socket.sendall(frame)
        except (OSError, ValueError):
            # A socket that is closed by now has no number to ask for.
            self.close()
            return False
        else:
            return True
        finally:
            self._writing.release()

    def close(self) -> None:
        """Wake the connection's thread and have it end."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _work(self) -> None:
        shared = self._shared
        while self._read():
            # What a short read left behind is nothing: the CANCEL of what it brought has not arrived.
            fresh = self._emptied
            # A large frame that is still arriving keeps the gateway waiting too.
            self._busy_since = shared.clock() if self._inbox or self._reader.room() is not None else None
            while self._inbox:
                fresh &= shared.permits.short.take()
                try:
                    # A CANCEL may have arrived while something else ran, and its batch must not.
                    if not fresh and not self._read_ahead():
                        return
                    parts = self._answer_oldest()
                finally:
                    shared.permits.short.give()
                fresh = False
                # After the permit is given back: a gateway that does not read must not keep others from running.
                self._send(parts)
                self._hand_over()

    def _answer_oldest(self) -> Sequence[Buffer]:
        if not self._inbox:
            return ()
        shared = self._shared
        waiting = self._inbox.take()
        self._looking.answered(waiting.run.rows)
        began = shared.clock()
        if began >= waiting.expires_at:
            return (expired(waiting),)
        if waiting.run.alone:
            return self._answer_alone(waiting)
        hosted = shared.published.catalogue.slots.get(waiting.frame.slot)
        if hosted is None:
            return self._answer(waiting, began)
        if shared.lengths.long(hosted, waiting) and not self._aside.full:
            self._handed = waiting
            return (_begun(waiting),)
        answered = self._answer(waiting, began)
        run_s = shared.clock() - began
        self._ran_s += run_s
        shared.lengths.saw(hosted, waiting, run_s)
        return answered

    def _answer(self, waiting: Waiting, now: float) -> Sequence[Buffer]:
        shared = self._shared
        hosted = shared.published.catalogue.slots.get(waiting.frame.slot)
        return answer(shared.host, hosted, waiting, shared.options.frame_bytes, waiting.waited_s(now))

    def _answer_alone(self, waiting: Waiting) -> Sequence[Buffer]:
        with self._shared.permits.alone():
            began = self._shared.clock()
            if began >= waiting.expires_at:
                return (expired(waiting),)
            # Other batches may have held it up here, and one of those may crash the replica.
            self._send((_begun(waiting),))
            return self._answer(waiting, began)

    def _answer_aside(self, waiting: Waiting) -> None:
        """Run a long batch, on the thread of those."""
        shared = self._shared
        shared.permits.long.take()
        try:
            began = shared.clock()
            late = began >= waiting.expires_at
            parts = (expired(waiting),) if late else self._answer(waiting, began)
            hosted = shared.published.catalogue.slots.get(waiting.frame.slot)
            if hosted is not None and not late:
                run_s = shared.clock() - began
                self._ran_aside_s += run_s
                shared.lengths.saw(hosted, waiting, run_s)
        finally:
            shared.permits.long.give()
        try:
            self._send(parts)
        except OSError as error:
            log.info("a gateway's connection broke: %s", error)
            self.close()

    def _hand_over(self) -> None:
        """Have a long batch run aside, of which the gateway has been told that it begins."""
        handed, self._handed = self._handed, None
        if handed is not None:
            self._aside.add(handed)

    def _read(self) -> bool:
        """Wait for bytes and take them in; false at their end."""
        if self._reader.room() is None:
            self._busy_since = None
            if self._looking.finds(self._socket):
                return self._received(self._receive(socket.MSG_DONTWAIT))
        began = self._shared.clock()
        frames = self._receive(0)
        self._looking.waited(self._shared.clock() - began)
        return self._received(frames)

    def _read_ahead(self) -> bool:
        """Take in what has arrived already; false at the end, when nobody is left to answer."""
        while not self._inbox.full:
            try:
                frames = self._receive(socket.MSG_DONTWAIT)
            except BlockingIOError:
                return True
            if not self._received(frames):
                return False
        return True

    def _receive(self, flags: int) -> Iterable[Frame] | None:
        room = self._reader.room()
        self._emptied = False
        if room is not None:
            count = self._socket.recv_into(room, 0, flags)
            return self._reader.filled(count) if count else None
        data = self._socket.recv(_READ_BYTES, flags)
        self._emptied = len(data) < _READ_BYTES
        return self._reader.feed(data) if data else None

    def _received(self, frames: Iterable[Frame] | None) -> bool:
        if frames is None:
            return False
        at_once = self._inbox.accept(frames, self._shared.clock())
        if at_once:
            self._send((at_once,))
        return True

    def _send(self, parts: Sequence[Buffer]) -> None:
        with self._writing:
            for part in parts:
                self._socket.sendall(part)

    def _handshake(self) -> None:
        shared = self._shared
        until = shared.clock() + shared.options.handshake_s
        challenge = Challenge(SPOKEN, os.urandom(NONCE_BYTES))
        self._socket.settimeout(shared.options.handshake_s)
        self._send((encode_challenge(challenge),))
        try:
            hello = self._hello(until)
            answered = welcome(challenge, hello, shared.secret, shared.options.frame_bytes)
        except StreamRefused as error:
            self._send((refusal(error),))
            raise
        threading.current_thread().name = f"tensor stream of {hello.name[:64]}"
        self._prepare()
        with self._writing:
            self.told = shared.published.catalogue
            # First, since a gateway that reads it and is then taken for a stranger would be sent away.
            self.welcomed = True
            self._socket.sendall(answered + encode_catalogue(self.told))

    def _hello(self, until: float) -> Hello:
        frames: list[Frame] = []
        while not frames:
            left = until - self._shared.clock()
            if left <= 0:
                raise StreamRefused("the gateway took too long over its part of the handshake")
            self._socket.settimeout(left)
            data = self._socket.recv(_READ_BYTES)
            if not data:
                raise StreamRefused("the gateway left during the handshake")
            frames = list(self._reader.feed(data))
        if len(frames) > 1:
            raise StreamRefused("the gateway sent more than its part of the handshake")
        return decode_hello(frames[0])

    def _prepare(self) -> None:
        self._reader.limit = self._shared.options.frame_bytes
        # A time-out of Python's would poll before each call; the kernel's own costs nothing.
        self._socket.settimeout(None)
        seconds, rest = divmod(self._shared.options.send_s, 1)
        timeout = struct.pack("ll", int(seconds), int(rest * 1e6))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)
        if self._socket.family != socket.AF_UNIX:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            # A gateway whose host is gone says nothing more: its thread and its place are free again after a minute.
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)


def _begun(waiting: Waiting) -> bytes:
    return encode(BEGUN, batch_id=waiting.frame.batch_id)


def _writable(peer: socket.socket) -> bool:
    poller = select.poll()
    poller.register(peer, select.POLLOUT)
    return bool(poller.poll(0))
