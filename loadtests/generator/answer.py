"""Requests as bytes made beforehand, what an answer is made of, and who says whether it is the right one."""

from __future__ import annotations

from typing import NamedTuple, Protocol

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


def first_answer(data: bytes) -> Answer | None:
    """The answer that these bytes begin with, or None while it is not whole.

    Raises:
        ValueError: it tells no length.
    """
    end = data.find(END_OF_HEAD)
    if end < 0:
        return None
    at = data.find(_LENGTH, 0, end)
    said = data[at + len(_LENGTH) : data.index(b"\r", at + 2)] if at >= 0 else header(data[:end], b"content-length")
    if said is None:
        raise ValueError("content-length was not found")
    begins = end + len(END_OF_HEAD)
    size = begins + int(said)
    if len(data) < size:
        return None
    return Answer(int(data[9:12]), data[:end], data[begins:size], size)


def header(head: bytes, name: bytes) -> bytes | None:
    """The value of one header, its name in lower case; None where the head does not have it."""
    line = b"\r\n" + name + b":"
    at = head.lower().find(line)
    if at < 0:
        return None
    begins = at + len(line)
    ends = head.find(b"\r", begins)
    return (head[begins:] if ends < 0 else head[begins:ends]).strip()


def headers(head: bytes) -> dict[str, str]:
    """By name in lower case."""
    lines = [line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:]]
    return {name.lower(): value.strip() for name, _, value in lines}
