"""Asks a gateway for some rows until they are answered: waits for room, and finds the rows that it refuses."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import NamedTuple, Protocol

import orjson

from serving.bulk.answer import Answered
from serving.bulk.encoding import Body
from serving.bulk.pace import Pace
from serving.bulk.patience import Patience
from serving.bulk.stopped import BulkStopped

OK = 200
TOO_LARGE = 413
DEADLINE = 504
# The gateway, or a proxy before it, has no room or is not there: nothing is wrong with the rows.
_AWAY = frozenset((429, 502, 503, DEADLINE))
# What is wrong with the rows; a model that fails with one of them answers 500.
_OF_ROWS = frozenset((400, 404, TOO_LARGE, 422, 500))
_LONGEST_REASON = 300


class Reply(NamedTuple):
    """A whole answer; header names in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Gateway(Protocol):
    """One connection to a gateway."""

    def ask(self, body: Body) -> Reply:
        """Send it and wait.

        Raises:
            OSError, http.client.HTTPException: there is no answer.
        """


@dataclass(frozen=True, slots=True)
class Part:
    """What became of some rows: answered, or refused with a reason."""

    rows: Sequence[int]
    answered: Answered | None
    reason: str = ""


@dataclass(slots=True)
class Shared:
    """What all senders of a run look at: the pace, under its lock, and whether to stop."""

    pace: Pace
    patience: Patience
    stop: threading.Event
    lock: threading.Lock
    clock: Callable[[], float] = time.monotonic

    def rows(self) -> int:
        """Rows of the next request."""
        with self.lock:
            return self.pace.rows


class Stopping(Exception):
    """Somebody asked the run to stop: the rows were not answered."""


class Asker:
    """Belongs to one thread, as its connection does."""

    def __init__(self, gateway: Gateway, read: Callable[[Reply, int], Answered], shared: Shared) -> None:
        self._gateway = gateway
        self._read = read
        self._shared = shared

    def ask(self, body_of: Callable[[Sequence[int]], Body], rows: Sequence[int]) -> list[Part]:
        """What became of each of the rows, in their order.

        Raises:
            BulkStopped: there was no answer for as long as the run's patience lasts, or one that makes no sense.
            Stopping: the run was asked to stop.
        """
        reply = self._answered(body_of, rows)
        if reply is None:
            return self._halves(body_of, rows)
        if reply.status == OK:
            try:
                return [Part(rows, self._read(reply, len(rows)))]
            except (KeyError, ValueError, TypeError) as error:
                raise BulkStopped(f"the gateway's answer cannot be read: {error!r}") from error
        if reply.status not in _OF_ROWS or _unknown_model(reply):
            raise BulkStopped(f"the gateway answered {reply.status}: {said(reply)}")
        if len(rows) == 1:
            return [Part(rows, None, said(reply))]
        if reply.status == TOO_LARGE:
            with self._shared.lock:
                self._shared.pace.too_large(len(rows))
        return self._halves(body_of, rows)

    def _halves(self, body_of: Callable[[Sequence[int]], Body], rows: Sequence[int]) -> list[Part]:
        middle = len(rows) // 2
        return [*self.ask(body_of, rows[:middle]), *self.ask(body_of, rows[middle:])]

    def _answered(self, body_of: Callable[[Sequence[int]], Body], rows: Sequence[int]) -> Reply | None:
        """A reply that says something of the rows; None where fewer of them may have one in time."""
        shared, body = self._shared, body_of(rows)
        began, attempt = shared.clock(), 0
        while True:
            if shared.stop.is_set():
                raise Stopping
            sent = shared.clock()
            reply = self._once(body)
            if isinstance(reply, Reply) and reply.status not in _AWAY:
                if reply.status == OK:
                    with shared.lock:
                        shared.pace.answered(len(rows), shared.clock() - sent)
                return reply
            with shared.lock:
                shared.pace.refused(len(rows))
            failing_s = shared.clock() - began
            pause = shared.patience.pause_s(attempt, failing_s, _retry_after(reply), random.random())  # noqa: S311 - spread
            if pause is None:
                raise _gave_up(reply, failing_s)
            attempt += 1
            shared.stop.wait(pause)
            if isinstance(reply, Reply) and reply.status == DEADLINE and len(rows) > 1:
                return None

    def _once(self, body: Body) -> Reply | Exception:
        try:
            return self._gateway.ask(body)
        except (OSError, http.client.HTTPException) as error:
            return error


def said(reply: Reply) -> str:
    """Why it was refused, on one line."""
    try:
        document = orjson.loads(reply.body)
        told = document["error"] if isinstance(document, dict) and "error" in document else document
    except orjson.JSONDecodeError:
        told = reply.body.decode(errors="replace")
    return " ".join(str(told).split())[:_LONGEST_REASON] or "nothing more"


def _unknown_model(reply: Reply) -> bool:
    """404 is of the row only where it names an instance: its entity has no features."""
    return reply.status == 404 and not said(reply).startswith("instances[")  # noqa: PLR2004 - a status


def _retry_after(reply: Reply | Exception) -> float:
    """Seconds; 0 where there are none, as in a date, or none that anybody could wait."""
    given = reply.headers.get("retry-after", "") if isinstance(reply, Reply) else ""
    try:
        seconds = float(given)
    except ValueError:
        return 0.0
    return seconds if isfinite(seconds) and seconds > 0.0 else 0.0


def _gave_up(reply: Reply | Exception, failing_s: float) -> BulkStopped:
    if isinstance(reply, Reply):
        return BulkStopped(f"the gateway answered {reply.status} for {failing_s:.0f} s: {said(reply)}")
    why = getattr(reply, "strerror", None) or str(reply) or type(reply).__name__
    return BulkStopped(f"the gateway does not answer since {failing_s:.0f} s ({why.lower()})", unreachable=True)
