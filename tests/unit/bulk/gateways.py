"""Gateways that are no servers: each request is answered by a function, and time passes only in pauses."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import orjson
import pyarrow as pa

from serving.bulk.answer import Answered
from serving.bulk.asking import OK, Asker, Reply, Shared
from serving.bulk.encoding import Body
from serving.bulk.pace import Pace
from serving.bulk.patience import Patience

# What a gateway makes of rows' numbers: a status, or an error of the connection; answered rows are doubled.
Fate = Callable[[Sequence[int]], int | Exception]


class Stop(threading.Event):
    """Pauses move the clock and take no time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.pauses: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.pauses.append(timeout or 0.0)
        self.now += timeout or 0.0
        return self.is_set()


@dataclass
class FakeGateway:
    """Body: rows as JSON; what it was sent stands in `sent`."""

    fate: Fate
    headers: dict[str, str] = field(default_factory=dict)
    sent: list[list[int]] = field(default_factory=list)

    def ask(self, body: Body) -> Reply:
        rows = orjson.loads(body.parts[0])
        self.sent.append(rows)
        fate = self.fate(rows)
        if isinstance(fate, Exception):
            raise fate
        if fate == OK:
            return Reply(OK, self.headers, orjson.dumps([2 * row for row in rows]))
        where = "instances[0]: " if fate == 404 else ""
        return Reply(fate, self.headers, orjson.dumps({"error": f"{where}no {fate}"}))


def body_of(rows: Sequence[int]) -> Body:
    return Body({}, (orjson.dumps(list(rows)),))


def read(reply: Reply, rows: int) -> Answered:
    found = orjson.loads(reply.body)
    assert len(found) == rows
    return Answered({"y": pa.array(found, pa.int64())}, 1, None)


def shared_of(stop: Stop | None = None, *, most: int = 64, patience_s: float = 60.0) -> Shared:
    stop = stop or Stop()
    return Shared(Pace(most), Patience(patience_s), stop, threading.Lock(), lambda: stop.now)


def asker_of(gateway: FakeGateway, shared: Shared) -> Asker:
    return Asker(gateway, read, shared)
