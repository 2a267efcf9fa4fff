"""Requests as bytes made beforehand, and whether an answer is the right one to its own request."""

from __future__ import annotations

from http import HTTPStatus

from benchmarks.check import difference_from
from benchmarks.encodings import Reply
from benchmarks.workload import Workload
from loadtests.generator.answer import headers


class Question:
    """One row asked for; bodies that were seen before are known, so that looking is one look-up an answer."""

    __slots__ = ("_row", "_workload", "known", "request")

    def __init__(self, workload: Workload, row: int) -> None:
        self._workload = workload
        self._row = row
        self.request = request_bytes(workload, row)
        self.known: dict[bytes, bool] = {}

    def is_answered_by(self, head: bytes, body: bytes) -> bool:
        """Values compared as everywhere in the benches: batches round in another order than single rows."""
        reply = Reply(HTTPStatus.OK, headers(head), body)
        right = difference_from(self._workload, self._row, reply) <= 1
        self.known[body] = right
        return right


def questions(workload: Workload) -> list[Question]:
    """Every row of the workload."""
    return [Question(workload, row) for row in range(len(workload.rows))]


def request_bytes(workload: Workload, row: int) -> bytes:
    """As a lean HTTP/1.1 client sends it."""
    body = workload.body(row)
    named = {"host": "127.0.0.1", **workload.encoding.headers(workload), "content-length": str(len(body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"POST {workload.path} HTTP/1.1\r\n{lines}\r\n".encode() + body
