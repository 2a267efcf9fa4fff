"""Many callers at once: one thread and one connection each, all of them connected before the first one asks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tests.e2e.http_client import PATIENT, Connection, Reply, request_bytes
from tests.e2e.sluice_up import SluiceUp

T = TypeVar("T")


def at_once(session: SluiceUp, callers: int, call: Callable[[int, Connection], T]) -> list[T]:
    """`call(number, connection)` of every caller; what one raises is raised here."""
    together = threading.Barrier(callers)

    def one(number: int) -> T:
        with session.connect() as connection:
            together.wait(30)
            return call(number, connection)

    with ThreadPoolExecutor(callers) as pool:
        return list(pool.map(one, range(callers)))


def pipelined(connection: Connection, path: str, bodies: Sequence[bytes]) -> list[Reply]:
    """Send all requests in one piece, so that they are there together, then read their answers in order."""
    connection.send(b"".join([request_bytes("POST", path, body, PATIENT) for body in bodies]))
    return [connection.read() for _ in bodies]
