"""One exchange with a server as the suite remembers it: what was sent and what came, short enough to be read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from serving.conformance.check import Failed

_SHOWN = 400
Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer; header names are lower case."""

    status: int
    headers: Headers
    body: bytes

    def header(self, name: str) -> str | None:
        """The value of a header, None where it was not sent."""
        return next((value for key, value in self.headers if key == name), None)

    def json(self) -> Any:  # noqa: ANN401 - JSON
        """The body as JSON by RFC 8259, which knows no NaN.

        Raises:
            Failed: it is none.
        """
        try:
            return json.loads(self.body, parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            raise Failed(f"the body of the answer, a {self.status}, is no JSON: {error}") from error

    def object(self) -> dict[str, Any]:
        """The body as a JSON object.

        Raises:
            Failed: it is none.
        """
        document = self.json()
        if not isinstance(document, dict):
            raise Failed(f"the answer must be a JSON object, got {shortened(self.body)}")
        return document


def told(method: str, path: str, headers: Headers, body: bytes, answer: Answer | str) -> str:
    """One exchange as evidence."""
    head = " ".join(f"{name}: {value}" for name, value in headers)
    sent = f"> {method} {path} [{head}] {shortened(body)}".rstrip()
    if isinstance(answer, str):
        return f"{sent}\n< {answer}"
    kept = ("content-type", "content-encoding", "inference-header-content-length", "connection")
    shown = " ".join(f"{name}: {value}" for name, value in answer.headers if name in kept)
    return f"{sent}\n< {answer.status} [{shown}] {shortened(answer.body)}".rstrip()


def shortened(body: bytes) -> str:
    """Bytes as text, the beginning of many."""
    text = body[:_SHOWN].decode("utf-8", "backslashreplace").replace("\0", "\\0")
    return text if len(body) <= _SHOWN else f"{text}... ({len(body)} bytes)"


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
