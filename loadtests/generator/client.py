"""The generator: one thread, plain sockets and epoll; a request leaves when it is due, whoever is still unanswered.

Each request has a connection to itself while it is out (pipelined ones would wait for each other's answers);
connections are kept, the one used last is used next, and a new one is made where none is free.
"""

from __future__ import annotations

import math
import select
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

import numpy as np
from numpy.typing import NDArray

from loadtests.generator.answer import Answer, Ask, first_answer
from loadtests.generator.columns import Columns
from loadtests.generator.connection import OWN_WANT, Connection, opened
from loadtests.generator.grpc_wire import GrpcWire
from loadtests.generator.outcomes import LOST, UNANSWERED, UNSENT, WRONG, Outcomes
from loadtests.generator.undisturbed import undisturbed

_READ = 65_536
# Requests sent before answers are looked at again, and answers read before what is due is: neither starves the other.
_AT_ONCE = 32
_SHORTEST_SLEEP_S = 0.0001
# How often who has nothing to send looks whether more was offered.
_FED_EVERY_S = 0.002
# So that a load that is told to stop does.
_LONGEST_SLEEP_S = 0.1
# What a closed loop may ask at the most where nobody says so; memory is taken as it is used.
_CLOSED_ROOM = 5_000_000
# What one answer may take of memory.
_MOST_ANSWER = 64 * 1024 * 1024
# And all that are not whole yet together.
_MOST_KEPT = 512 * 1024 * 1024
_CLOSES = b"connection: close"
_RETRY_AFTER = b"retry-after: "


@dataclass(frozen=True, slots=True)
class Limits:
    """`outstanding` bounds requests without an answer, and so connections; `patience_s` how long the last ones wait.

    With `timeout_s` every request waits no longer than that, within a tenth of it. An answer is late where it may have
    lain there unread for over `read_late_s`, and that is over a tenth of what it took.
    """

    outstanding: int = 8_192
    opened: int = 64
    patience_s: float = 5.0
    timeout_s: float | None = None
    read_late_s: float = math.inf


class Client:
    """Asks one server; loads follow one another on the same connections."""

    def __init__(
        self,
        address: int | tuple[str, int],
        streams: Sequence[Sequence[Ask]],
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # A number is a port of this machine.
        self._address = ("127.0.0.1", address) if isinstance(address, int) else address
        self._streams = streams
        self._limits = limits or Limits()
        self._clock = clock
        # First of all descriptors: select knows only those below 1,024.
        self._epoll = select.epoll()
        self._by_descriptor: dict[int, Connection] = {}
        self._free: list[Connection] = []
        self._out = 0
        self._columns = Columns(0)
        self._looked_at = 0.0
        # Told of every answer and its number, before anything else is done with it.
        self.notice: Callable[[int, Answer], None] | None = None
        # Where calls of gRPC are asked, and not requests of HTTP/1.1.
        self.wire: GrpcWire | None = None
        self.connections = 0
        self.read_late = 0
        # Requests that found neither a free connection nor a socket for another one.
        self.without_socket = 0
        self._kept = 0
        # Since when there was always more to read than was read at once.
        self._behind_since = math.inf
        self._may_lie_since = math.inf

    def open_loop(
        self,
        due: NDArray[np.float64],
        stream: NDArray[np.intp] | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Outcomes:
        """Send each request when it is due, in seconds from now; with `stop`, none is sent once that says so."""
        columns = Columns(len(due))
        columns.fill(due, np.zeros(len(due), np.intp) if stream is None else stream)
        self.run(columns, stop=stop)
        return columns.outcomes(columns.reached, columns.began)

    def run(self, columns: Columns, at: float | None = None, stop: Callable[[], bool] | None = None) -> None:
        """An open loop of what stands in the columns, from the moment `at` on, by default now."""
        self._connect_first(self._limits.opened)
        self._columns = columns
        moments = columns.due
        number, last, fed = 0, columns.count, columns.fed
        # Not before: the first connections take their time.
        began = columns.began = self._clock() if at is None else at
        with undisturbed():
            while (fed or number < last) and not columns.stopped and not (stop is not None and stop()):
                now = self._clock() - began
                if fed:
                    last = columns.offered
                burst = min(number + _AT_ONCE, last)
                while number < burst and moments[number] <= now:
                    self._send(number)
                    number += 1
                columns.reached = number
                if number < last:
                    self._turn(began + moments[number])
                elif fed:
                    self._turn(began + now + _FED_EVERY_S)
            self._settle()

    def closed_loop(self, callers: int, seconds: float, most: int | None = None, stream: int = 0) -> Outcomes:
        """Each of so many callers asks again as soon as it is answered; a request is due when its caller is free."""
        columns = Columns(_CLOSED_ROOM if most is None else most)
        self.run_closed(columns, callers, seconds, streams=(stream,))
        return columns.outcomes(columns.reached, columns.began)

    def run_closed(
        self,
        columns: Columns,
        callers: int,
        seconds: float,
        *,
        at: float | None = None,
        streams: Sequence[int] = (0,),
    ) -> None:
        """A closed loop, written into the columns until their room is full or its time is over; streams go round."""
        self._connect_first(callers)
        self._columns = columns
        began = columns.began = self._clock() if at is None else at
        ends = began + seconds
        with undisturbed():
            while (now := self._clock()) < ends and columns.count < columns.room and not columns.stopped:
                for _ in range(min(callers - self._out, columns.room - columns.count) if now >= began else 0):
                    columns.add(now - began, streams[columns.count % len(streams)])
                    self._send(columns.count - 1)
                columns.reached = columns.count
                self._turn(ends if now >= began else began)
            self._settle()

    def close(self) -> None:
        """End all connections."""
        for connection in list(self._by_descriptor.values()):
            self._drop(connection)
        self._epoll.close()

    def _connect_first(self, count: int) -> None:
        while len(self._free) < count:
            connection = self._connect()
            self._free.append(connection)

    def _connect(self) -> Connection:
        connection = opened(self._address)
        self._by_descriptor[connection.socket.fileno()] = connection
        self._epoll.register(connection.socket.fileno(), select.EPOLLIN)
        self.connections += 1
        return connection

    def _send(self, number: int) -> None:
        columns = self._columns
        if self._out >= self._limits.outstanding:
            columns.status[number] = UNSENT
            return
        columns.sent[number] = self._clock()
        self._out += 1
        try:
            connection = self._take()
        except OSError as error:
            self._not_connected(number, error)
            return
        of = self._streams[columns.stream[number]]
        connection.number = number
        request = of[number % len(of)].request
        self._write(connection, request if self.wire is None else self.wire.framed(connection.calls, request))

    def _not_connected(self, number: int, error: OSError) -> None:
        """A server that refuses has lost a request; one that this machine has no socket for never left."""
        if error.errno in OWN_WANT:
            self.without_socket += 1
            self._columns.sent[number] = math.nan
            self._end(number, UNSENT)
        else:
            self._end(number, LOST)

    def _take(self) -> Connection:
        while self._free:
            # One that was closed while idle is no failure: nothing was asked on it.
            if (connection := self._free.pop()).open:
                return connection
        return self._connect()

    def _write(self, connection: Connection, data: bytes) -> None:
        waited = bool(connection.rest)
        try:
            sent = connection.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._lose(connection)
            return
        connection.rest = data[sent:]
        if waited != bool(connection.rest):
            events = select.EPOLLIN | (select.EPOLLOUT if connection.rest else 0)
            self._epoll.modify(connection.socket.fileno(), events)

    def _turn(self, until: float) -> None:
        pause = until - self._clock()
        if pause > 0:
            # epoll waits in whole milliseconds, select in microseconds. What is due within the shortest sleep leaves
            # together: at 40,000 a second a sleep before each costs more than the request.
            select.select([self._epoll], [], [], min(max(pause, _SHORTEST_SLEEP_S), _LONGEST_SLEEP_S))
        ready = self._epoll.poll(0, _AT_ONCE)
        now = self._clock()
        # How much longer the sleep was than it should have been: whoever else ran had this core meanwhile.
        if until <= now - self._columns.lag_s and pause > 0 and not ready:
            self._columns.lag_s = now - until
        if now >= self._looked_at:
            self._look(now)
        self._fall_behind(now, len(ready))
        for descriptor, events in ready:
            connection = self._by_descriptor.get(descriptor)
            if connection is None:
                continue
            if events & select.EPOLLOUT:
                self._write(connection, connection.rest)
            if events & ~select.EPOLLOUT and connection.open:
                self._read(connection, now)

    def _fall_behind(self, now: float, ready: int) -> None:
        """A generator that cannot keep up still sends in time, but what it reads has waited for it."""
        late = now - self._behind_since > self._limits.read_late_s
        self._may_lie_since = self._behind_since if late else math.inf
        if ready < _AT_ONCE:
            self._behind_since = math.inf
        elif self._behind_since == math.inf:
            self._behind_since = now

    def _look(self, now: float) -> None:
        """Now and then: give up what waited too long."""
        timeout_s = self._limits.timeout_s
        if timeout_s is None:
            self._looked_at = math.inf
            return
        self._looked_at = now + timeout_s / 10
        sent = self._columns.sent
        for connection in list(self._by_descriptor.values()):
            number = connection.number
            if number >= 0 and now - sent[number] > timeout_s:
                self._give_up(connection, now)

    def _give_up(self, connection: Connection, now: float) -> None:
        number = connection.number
        self._drop(connection)
        self._columns.ended[number] = now
        self._end(number, UNANSWERED)

    def _read(self, connection: Connection, now: float) -> None:
        try:
            data = connection.socket.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lose(connection)
            return
        data = connection.data + data if connection.data else data
        if self.wire is not None:
            self._read_call(connection, self.wire, data, now)
            return
        try:
            answer = first_answer(data)
        except ValueError:
            self._lose(connection)
            return
        if answer is None:
            self._keep(connection, data)
        elif connection.number < 0:
            # Nobody asked: what follows on it cannot be trusted.
            self._drop(connection)
        else:
            self._answered(connection, answer, data, now)

    def _keep(self, connection: Connection, data: bytes) -> None:
        """Neither an answer without an end shall take all memory, nor many that come slowly."""
        connection.data = data
        self._hold(connection, len(data) + len(connection.calls.message))
        if connection.kept > _MOST_ANSWER or self._kept > _MOST_KEPT:
            self._lose(connection)

    def _hold(self, connection: Connection, size: int) -> None:
        self._kept += size - connection.kept
        connection.kept = size

    def _read_call(self, connection: Connection, wire: GrpcWire, data: bytes, now: float) -> None:
        answer, rest, replies = wire.read(connection.calls, data)
        self._keep(connection, rest)
        if not connection.open:
            return
        if replies:
            self._write(connection, connection.rest + replies)
        if answer is not None and connection.number >= 0:
            self._answered(connection, answer, connection.data, now)
        if connection.calls.leaving and connection.number < 0 and connection.open:
            self._drop(connection)

    def _answered(self, connection: Connection, answer: Answer, data: bytes, now: float) -> None:
        number = connection.number
        columns = self._columns
        columns.ended[number] = now
        if now - self._may_lie_since > (now - columns.began - columns.due[number]) / 10:
            self.read_late += 1
        if self.notice is not None:
            self.notice(number, answer)
        if answer.status == HTTPStatus.OK:
            of = self._streams[columns.stream[number]]
            question = of[number % len(of)]
            right = question.known.get(answer.body)
            if right is None:
                right = question.is_answered_by(answer.head, answer.body)
            status = int(HTTPStatus.OK) if right else WRONG
        else:
            status = answer.status
            columns.retry_after[number] = _RETRY_AFTER in answer.head.lower()
        connection.number = -1
        connection.data = data[answer.size :]
        if connection.kept:
            self._hold(connection, 0)
        self._end(number, status)
        # More than was asked for would be taken for the next request's answer.
        strays = bool(connection.data) and self.wire is None
        if strays or _CLOSES in answer.head.lower():
            self._drop(connection)
        else:
            self._free.append(connection)

    def _end(self, number: int, status: int) -> None:
        self._columns.status[number] = status
        self._out -= 1

    def _lose(self, connection: Connection) -> None:
        number = connection.number
        self._drop(connection)
        if number >= 0:
            self._columns.ended[number] = self._clock()
            self._end(number, LOST)

    def _drop(self, connection: Connection) -> None:
        connection.open = False
        connection.number = -1
        self._hold(connection, 0)
        self._by_descriptor.pop(connection.socket.fileno(), None)
        connection.socket.close()

    def _settle(self) -> None:
        """Wait for the last answers; who has none when patience ends is counted as unanswered and left."""
        give_up = self._clock() + self._limits.patience_s
        while self._out and self._clock() < give_up and not self._columns.left:
            self._turn(give_up)
        for connection in [one for one in self._by_descriptor.values() if one.number >= 0]:
            number = connection.number
            self._drop(connection)
            self._end(number, UNANSWERED)
