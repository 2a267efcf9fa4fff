"""Requests as bytes made beforehand, and whether an answer is the right one to its own request."""

from __future__ import annotations

from http import HTTPStatus
from typing import NamedTuple, Protocol

from benchmarks.check import difference_from
from benchmarks.encodings import Reply
from benchmarks.workload import Workload

END_OF_HEAD = b"\r\n\r\n"
# With its line end: the binary extension's header ends with the same words.
_LENGTH = b"\r\ncontent-length: "


class Answer(NamedTuple):
    """One answer, and how many bytes of what was read it took."""

    status: int
    head: bytes
    body: bytes
    size: int


class Ask(Protocol):
    """A request, and which bodies answer it rightly; of what `known` does not tell, `is_answered_by` has to."""

    request: bytes
    known: dict[bytes, bool]

    def is_answered_by(self, head: bytes, body: bytes) -> bool:
        """Whether it is the right answer; made known."""


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


def first_answer(data: bytes) -> Answer | None:
    """The answer that these bytes begin with, or None while it is not whole.

    Raises:
        ValueError: it tells no length.
    """
    end = data.find(END_OF_HEAD)
    if end < 0:
        return None
    at = data.find(_LENGTH, 0, end)
    if at < 0:
        at = data[:end].lower().index(_LENGTH)
    begins = end + len(END_OF_HEAD)
    size = begins + int(data[at + len(_LENGTH) : data.index(b"\r", at + 2)])
    if len(data) < size:
        return None
    return Answer(int(data[9:12]), data[:end], data[begins:size], size)


def headers(head: bytes) -> dict[str, str]:
    """By name in lower case."""
    lines = [line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:]]
    return {name.lower(): value.strip() for name, _, value in lines}
