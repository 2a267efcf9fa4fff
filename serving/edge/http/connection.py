"""One client connection: requests answered in their order, back-pressure both ways, and a close that loses nothing.

Uses nothing but asyncio's Transport, so that TLS fits later.
"""

from __future__ import annotations

import asyncio
from collections import deque
from math import inf
from typing import cast

from serving.edge.http import metadata, orders
from serving.edge.http.answers import CONTINUE, Refusal, framed
from serving.edge.http.edge import Edge
from serving.edge.http.exchange import Exchange
from serving.edge.http.intake import Intake, Stage
from serving.edge.http.read_pace import ReadPace
from serving.edge.http.request_head import NO_HEAD, RequestHead
from serving.edge.unread import end_unless_unread
from serving.inference import Buffer

_CLOSE = b"connection: close\r\n"
# What a held request costs beside its body: many tiny ones fit into one read, and their objects are larger.
_HELD_OVERHEAD = 512
# Below this joining answers costs less than writing them one by one.
_JOINED_BYTES = 65_536


class Connection(asyncio.Protocol):
    """Order and flow of one connection.

    `_exchanges` are accepted and answered in order; `_held` are requests past the pipelining bound, complete but not
    accepted, during which nothing is read. `_odd` says that there is more to do after an answer than to write it, so
    the common request looks once instead of six times. `_unflushed` are bytes that a slow reader has not taken yet.
    """

    __slots__ = (
        "_continue_wanted",
        "_corked",
        "_discarded",
        "_edge",
        "_ended",
        "_eof",
        "_exchanges",
        "_expired",
        "_finishing",
        "_held",
        "_intake",
        "_odd",
        "_pace",
        "_paused",
        "_reading",
        "_since",
        "_transport",
        "_unflushed",
        "_used",
    )

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._intake = Intake(edge, self)
        self._transport: asyncio.Transport | None = None
        self._exchanges: deque[Exchange] = deque()
        self._held: deque[tuple[RequestHead, Buffer | Refusal]] = deque()
        self._corked = False
        self._odd = False
        self._paused = False
        self._pace = ReadPace(0, edge.now)
        self._reading = True
        self._eof = False
        self._ended = False
        self._finishing = False
        self._continue_wanted = False
        self._used = False
        self._unflushed = 0
        self._discarded = 0
        self._since = edge.now
        self._expired = -inf

    # --- what the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self._transport = cast("asyncio.Transport", transport)
        refusal = self._edge.admitted(self)
        if refusal is not None:
            self._intake.stop()
            self.refused(NO_HEAD, refusal)
            self._pump()

    def connection_lost(self, exc: Exception | None) -> None:
        """Both directions are gone: nobody waits for what is still in flight."""
        del exc
        self._transport = None
        self._intake.release()
        self._drop_all()
        self._flushed()
        self._edge.gone(self)

    def data_received(self, data: bytes) -> None:
        """Bytes arrived; answers that are ready at once leave together."""
        if self._finishing:
            self._discard(len(data))
            return
        self._corked = True
        try:
            self._intake.feed(data)
        finally:
            self._corked = False
        self._pump()

    def eof_received(self) -> bool:
        """The client sends no more; one that closed only its sending side still waits for its answers."""
        self._eof = self._odd = True
        self._intake.stop()
        return bool(self._exchanges or self._held) and not self._finishing

    def pause_writing(self) -> None:
        """The client does not take its answers: read and accept nothing until it does."""
        self._paused = self._odd = True
        self._since = self._edge.now
        self._pace = ReadPace(self._buffered(), self._since)
        self._regulate()

    def resume_writing(self) -> None:
        """The client has taken what was written."""
        self._paused = False
        self._since = self._edge.now
        self._flushed()
        self._pump()

    # --- what the intake calls

    def arrived(self, head: RequestHead, body: Buffer) -> None:
        """A request is complete."""
        if self._exchanges or self._odd:
            self._begin_or_hold(head, body)
        else:
            self._begin(head, body)

    def refused(self, head: RequestHead, refusal: Refusal) -> None:
        """A request is refused, in its place in the order."""
        self._begin_or_hold(head, refusal)

    def wants_continue(self) -> None:
        """Leave to send the body is given when everything before it is answered: it would be taken for an answer."""
        self._continue_wanted = self._odd = True

    def ended(self) -> None:
        """Close once everything that is owed was answered."""
        self._ended = self._odd = True

    # --- what an exchange calls

    def settled(self, exchange: Exchange) -> None:
        """An answer is there: it leaves as soon as every earlier one has."""
        exchanges = self._exchanges
        if self._paused or not exchanges or exchanges[0] is not exchange:
            size = len(exchange.answer or b"") + sum(map(len, exchange.tail))
            exchange.held += size
            self._edge.budget.used += size
        if not self._corked:
            self._pump()

    # --- what the server calls

    def sweep(self, now: float) -> None:
        """End what has waited too long."""
        limits = self._edge.limits
        intake = self._intake
        waited = now - self._since
        if self._paused:
            # Also where it is to be closed: the last answer may take as long as any.
            if self._pace.too_slow(self._buffered(), now, limits):
                self.abort()
        elif self._finishing:
            if waited > limits.linger_s:
                self.abort()
        elif intake.stage is Stage.HEAD or intake.stage is Stage.BODY:
            if self._over_twice(intake.since, over=self._reading and now - intake.since > intake.allowed_s):
                self._time_out()
        elif not (self._exchanges or self._held):
            allowed_s = limits.idle_s if self._used else limits.head_s
            # What came during a turn that has not ended yet is read after timers have run.
            if self._over_twice(self._since, over=waited > allowed_s) and end_unless_unread(self._transport):
                self._finish()

    def close_if_idle(self) -> bool:
        """Close where no request is on the connection, not even part of one, and none has come to be read."""
        if self.idle_since is None or not end_unless_unread(self._transport):
            return False
        self._finish()
        return True

    @property
    def idle_since(self) -> float | None:
        """Since when no request is on it, in monotonic seconds; None where one is."""
        nothing = not (self._exchanges or self._held or self._finishing or self._paused)
        return self._since if nothing and self._intake.stage is Stage.BETWEEN else None

    def abort(self) -> None:
        """Close now; what is in flight is dropped."""
        if self._transport is not None:
            self._transport.abort()

    # --- inside

    def _over_twice(self, since: float, *, over: bool) -> bool:
        """Whether the last sweep found it over, too: what came while the loop was held up has been read in between."""
        again = over and self._expired == since
        self._expired = since if over else -inf
        return again

    def _begin(self, head: RequestHead, content: Buffer | Refusal) -> None:
        self._used = True
        self._edge.requests += 1
        if isinstance(content, Refusal):
            exchange = Exchange(self, self._edge, head, 0)
            self._exchanges.append(exchange)
            exchange.refuse(content)
            return
        exchange = Exchange(self, self._edge, head, len(content))
        self._exchanges.append(exchange)
        if head.wants_body:
            exchange.predict(content)
        elif head.waits:
            orders.begin(self._edge, exchange, head, bytes(content))
        else:
            exchange.give(metadata.answer(self._edge, head))

    def _begin_or_hold(self, head: RequestHead, content: Buffer | Refusal) -> None:
        if not self._held and not self._paused and len(self._exchanges) < self._edge.limits.max_pipelined:
            self._begin(head, content)
            return
        self._edge.budget.used += _HELD_OVERHEAD
        self._held.append((head, content))
        self._odd = True

    def _pump(self) -> None:
        """Write every answer whose turn it is; where the connection is odd, do what that asks for as well."""
        exchanges = self._exchanges
        if exchanges and exchanges[0].answer is not None and not self._paused:
            self._write_ready()
        if self._odd:
            self._pump_odd()

    def _pump_odd(self) -> None:
        """Accept what was held, read on or stop reading, give leave to send, close."""
        exchanges = self._exchanges
        while not self._paused and not self._finishing:
            if exchanges and exchanges[0].answer is not None:
                self._write_ready()
            if not self._accept_held():
                break
        if self._continue_wanted and not exchanges and not self._held:
            self._give_leave()
        if (self._eof or self._ended) and not exchanges and not self._held and not self._finishing:
            self._finish()
        self._regulate()
        self._odd = bool(self._held or self._continue_wanted or self._paused or self._eof or self._ended)

    def _write_ready(self) -> None:
        exchanges = self._exchanges
        transport = self._transport
        # From a batch's completion, a write to a closing transport would raise into the batch of everybody else.
        if transport is None or transport.is_closing():
            self._drop_all()
            return
        if len(exchanges) == 1 and exchanges[0].plain and not self._edge.draining:
            exchange = exchanges.popleft()
            self._edge.requests -= 1
            self._write(transport, exchange.answer or b"", exchange.held)
            return
        ready: list[Buffer] = []
        held = 0
        last = False
        while exchanges and not last and (answer := exchanges[0].answer) is not None:
            exchange = exchanges.popleft()
            self._edge.requests -= 1
            held += exchange.held
            last = exchange.last or (self._edge.draining and self._is_last())
            if last or not exchange.head.plain:
                answer = self._framed(exchange.head, answer, last=last)
            ready.append(answer)
            ready += exchange.tail
        self._write_all(transport, ready, held)
        if last:
            self._finish()

    def _write(self, transport: asyncio.Transport, answer: bytes, held: int) -> None:
        """Write, and stop counting `held` bytes unless the client does not take them."""
        self._since = self._edge.now
        transport.write(answer)
        if self._paused:
            self._unflushed += held + len(answer)
            self._edge.budget.used += len(answer)
        else:
            self._edge.budget.used -= held

    def _write_all(self, transport: asyncio.Transport, pieces: list[Buffer], held: int) -> None:
        """Write several answers at once; large ones without joining them to anything."""
        size = sum(map(len, pieces))
        if size < _JOINED_BYTES:
            self._write(transport, b"".join(pieces), held)
            return
        self._since = self._edge.now
        transport.writelines(pieces)
        if self._paused:
            self._unflushed += held + size
            self._edge.budget.used += size
        else:
            self._edge.budget.used -= held

    def _is_last(self) -> bool:
        return not self._exchanges and not self._held and self._intake.stage in (Stage.BETWEEN, Stage.DEAF)

    @staticmethod
    def _framed(head: RequestHead, answer: bytes, *, last: bool) -> bytes:
        headers = head.extra + (_CLOSE if last else head.stays)
        return framed(answer, headers=headers, bodiless=head.bodiless)

    def _accept_held(self) -> bool:
        """Accept requests that waited for others to be answered; says whether one of their answers may leave now."""
        held = self._held
        before = len(held)
        self._corked = True
        while held and not self._paused and len(self._exchanges) < self._edge.limits.max_pipelined:
            head, content = held.popleft()
            self._edge.budget.used -= _HELD_OVERHEAD
            self._begin(head, content)
        self._corked = False
        return len(held) < before

    def _give_leave(self) -> None:
        self._continue_wanted = False
        if self._transport is not None and not self._transport.is_closing() and self._intake.stage is Stage.BODY:
            self._transport.write(CONTINUE)

    def _regulate(self) -> None:
        """Read only while there is room for what would arrive."""
        transport = self._transport
        wanted = self._finishing or not (self._held or self._paused)
        if transport is None or transport.is_closing() or wanted is self._reading or self._eof:
            return
        self._reading = wanted
        if wanted:
            # The time in which nothing was read is not the client's.
            self._intake.since = self._edge.now
            transport.resume_reading()
        else:
            transport.pause_reading()

    def _finish(self) -> None:
        """Close, but let the client take its answer first: closing with unread bytes would reset the connection."""
        self._finishing = True
        self._since = self._edge.now
        self._intake.stop()
        self._drop_all()
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if self._eof or not transport.can_write_eof():
            transport.close()
            return
        transport.write_eof()
        self._regulate()

    def _discard(self, size: int) -> None:
        self._discarded += size
        if self._discarded > self._edge.limits.max_discard_bytes:
            self.abort()

    def _drop_all(self) -> None:
        for exchange in self._exchanges:
            exchange.left()
        self._edge.requests -= len(self._exchanges)
        self._exchanges.clear()
        for _, content in self._held:
            self._edge.budget.used -= _HELD_OVERHEAD + (0 if isinstance(content, Refusal) else len(content))
        self._held.clear()

    def _flushed(self) -> None:
        self._edge.budget.used -= self._unflushed
        self._unflushed = 0

    def _buffered(self) -> int:
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def _time_out(self) -> None:
        what, limit = ("head", "http.head_s") if self._intake.stage is Stage.HEAD else ("body", "http.body_s")
        answered = self._intake.answered_already
        self._intake.stop()
        if answered:
            self.ended()
        else:
            message = f"the {what} of the request took longer than {limit} allows; send it faster"
            self._edge.observer.refused("", "client_timeout")
            self.refused(NO_HEAD, Refusal(408, message, "client_timeout", last=True))
        self._pump()
