"""The page of the control API, made from the OpenAPI document that a session gives."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from serving.control.answers import REFUSALS
from serving.control.app import control_app
from serving.control.operations import Operation, Said, operations
from serving.control.session import ControlOptions

_HEAD = """# Control API

Everything that people and programs do to a running session but predict: on `control.port` (8000), never on the port
of predictions, and by default for this machine alone (`control.host`). The session itself shows this list at `/docs`,
and as OpenAPI at `/openapi.json`. The commands `sluice models`, `sluice rollout` and `sluice logs` ask the same: what
is refused here ends them with exit code 1, and with 3 where nothing answers.

* **Who may.** Every change needs the token, as `authorization: Bearer TOKEN`; `sluice up` says in which file it is.
  Reading from this machine needs none, unless `control.host` is no loopback address. Below, `TOKEN=$(cat FILE)` was
  typed before.
* **Bodies** are JSON, sent with `content-type: application/json`. Every success is 200 with a document.
* **Refusals** are `{"error": "..."}`, which says what was wrong, where, and what would be right:

| status | why |
|---|---|
"""
_URL = "http://127.0.0.1:8000"


def page() -> str:
    """Each operation: what it takes, what it answers, how it is refused, and a line that asks for it."""
    document = control_app(_Nobody(), ControlOptions("127.0.0.1", "")).openapi()
    refusals = "".join(f"| {status} | {why} |\n" for status, why in REFUSALS.items())
    return _HEAD + refusals + "".join(part for one in operations(document) for part in _section(one))


def curl(operation: Operation) -> str:
    """A line for a shell that asks for it, with the examples of the document."""
    said = [one for one in operation.said if one.example is not None]
    path = operation.path
    for one in said:
        path = path.replace(f"{{{one.name}}}", quote(str(one.example), safe=""))
    query = urlencode([(one.name, one.example) for one in said if one.place == "query"], doseq=True)
    words = ["curl -s", *(["-X POST"] if operation.method == "POST" and operation.body is None else [])]
    words.append('-H "authorization: Bearer $TOKEN"')
    words.append(f"'{_URL}{path}{'?' + query if query else ''}'")
    if operation.body is not None:
        words.append(f"\\\n  -H 'content-type: application/json' -d '{json.dumps(operation.body)}'")
    return " ".join(words)


class _Nobody:
    """A session that is not asked."""

    async def __call__(self, what: str, **facts: Any) -> Mapping[str, Any]:  # noqa: ANN401 - the protocol's
        raise NotImplementedError


def _section(operation: Operation) -> Iterator[str]:
    yield f"\n## {operation.method} {operation.path}\n\n{_line(operation.text)}\n"
    if operation.said:
        yield "\n| | where | what | |\n|---|---|---|---|\n"
        yield from map(_row, operation.said)
    yield f"\n{_answer(operation)} Refused with {', '.join(operation.refusals)}.\n\n```bash\n{curl(operation)}\n```\n"


def _row(said: Said) -> str:
    where = f"{said.place}, required" if said.needed else said.place
    return f"| `{said.name}` | {where} | {said.kind} | {_line(said.text)} |\n"


def _answer(operation: Operation) -> str:
    if not operation.answer:
        return "Answers a stream of events."
    names = ", ".join(f"`{name}`" for name in operation.answer)
    return f"Answers {names}. {_line(operation.answer_text)}".rstrip()


def _line(text: str) -> str:
    return " ".join(text.split())
