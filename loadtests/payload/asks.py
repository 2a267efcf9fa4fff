"""Requests of a scenario as bytes, and whether their answers are right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson

from loadtests.generator.answer import Ask, header
from loadtests.payload import flights, json_lines
from loadtests.payload.encoding import as_binary, as_json
from loadtests.payload.entry import Entry, agrees, known_of
from loadtests.payload.grpc_asks import GrpcAsk, message_of
from loadtests.scenario.scenario import User

_VERSION = b"x-sluice-version"
_DEGRADED = b"x-sluice-degraded"
# Bodies that are remembered for an entry: versions answer differently, and some servers put an id into each.
_REMEMBERED = 16


class _NotCompared(dict[bytes, bool]):
    """Every body will do."""

    def get(self, *_: object) -> bool:
        """As the generator asks."""
        return True


class Unchecked:
    """A request of which nothing is known but that an answer has status 200."""

    __slots__ = ("known", "request")

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.known: dict[bytes, bool] = _NotCompared()

    def is_answered_by(self, head: bytes, body: bytes) -> bool:  # noqa: ARG002 - the signature of Ask
        """See Ask."""
        return True


class Checked:
    """A request whose answers are compared with those that are known."""

    __slots__ = ("_answers", "_judged", "known", "request")

    def __init__(self, request: bytes, answers: Mapping[str, object]) -> None:
        self.request = request
        self._answers = answers
        # By all that a verdict depends on: what is right of one version, or made with defaults, is wrong of another.
        self._judged: dict[tuple[bytes, bool, bytes], bool] = {}
        self.known: dict[bytes, bool] = {}

    def is_answered_by(self, head: bytes, body: bytes) -> bool:
        """By the version that the answer names; one that was made with defaults says so, and is another answer."""
        version, degraded = header(head, _VERSION) or b"", header(head, _DEGRADED) is not None
        of = (version, degraded, body)
        right = self._judged.get(of)
        if right is None:
            right = degraded or self._agrees(version.decode("latin-1"), body)
            if len(self._judged) < _REMEMBERED:
                self._judged[of] = right
                self._make_known(body, right=right and not degraded)
        return right

    def _make_known(self, body: bytes, *, right: bool) -> None:
        """A body that is right whoever says it need not be looked at again."""
        if right and "" in self._answers:
            self.known[body] = True

    def _agrees(self, version: str, body: bytes) -> bool:
        of = known_of(self._answers, version)
        if of is None:
            return True
        try:
            return agrees(self._answers[of], orjson.loads(body))
        except orjson.JSONDecodeError:
            return False


def entries(user: User, folder: Path) -> list[Entry]:
    """What the user's payload has; files are looked for beside the scenario.

    Raises:
        ConfigInvalid: it cannot be read.
    """
    answers = user.check > 0
    if user.payload == "flights":
        return flights.by_ids(answers=answers)
    if user.payload == "flight-rows":
        return flights.as_rows(answers=answers)
    return json_lines.read(folder / user.payload, user.path)


def asks(user: User, entries: Sequence[Entry], host: str) -> tuple[list[Ask], list[Ask]]:
    """Of each entry one that is not compared, and one that is where its answer is known.

    Raises:
        ConfigInvalid: a body that the protocol cannot carry.
    """
    plain: list[Ask] = []
    compared: list[Ask] = []
    if user.protocol == "grpc":
        return _calls(user, entries)
    for entry in entries:
        request = request_bytes(user, entry, host)
        plain.append(Unchecked(request))
        compared.append(Checked(request, entry.answers) if entry.answers else plain[-1])
    return plain, compared


def _calls(user: User, entries: Sequence[Entry]) -> tuple[list[Ask], list[Ask]]:
    plain: list[Ask] = []
    compared: list[Ask] = []
    for entry in entries:
        message = message_of(entry, user.path or entry.path)
        plain.append(Unchecked(message))
        compared.append(GrpcAsk(message, entry.answers) if entry.answers else plain[-1])
    return plain, compared


def request_bytes(user: User, entry: Entry, host: str) -> bytes:
    """As a lean HTTP/1.1 client sends it."""
    more, body = as_binary(entry.body) if user.protocol == "binary" else as_json(entry.body)
    # In lower case, so that what the user names replaces what would be sent, and the length is that of the body.
    own = {name.lower(): text for name, text in user.headers.items()}
    named = {"host": host, **more, **own, "content-length": str(len(body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"POST {user.path or entry.path} HTTP/1.1\r\n{lines}\r\n".encode() + body
