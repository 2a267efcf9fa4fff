"""The page that lists what the control API can do: plain HTML without scripts, so that it works in a closed network."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from serving.control.operations import Operation, Said, operations

_HEAD = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Sluice control API</title>
<style>body{font:16px system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
code{font-family:ui-monospace,monospace}td,th{text-align:left;padding:.2rem 1rem .2rem 0;vertical-align:top}
h2{margin-top:2rem;font-size:1.1rem}</style><h1>Sluice control API</h1>
<p>The whole document: <a href="/openapi.json">/openapi.json</a>. Every change needs
<code>authorization: Bearer TOKEN</code>; <code>sluice up</code> says in which file the token is.</p>"""


def documentation(document: Mapping[str, Any]) -> str:
    """One section for each operation of an OpenAPI document."""
    return _HEAD + "".join(part for one in operations(document) for part in _section(one))


def _section(operation: Operation) -> Iterator[str]:
    yield f"<h2><code>{operation.method} {escape(operation.path)}</code></h2>"
    yield f"<p>{escape(operation.text)}</p>"
    if operation.said:
        yield "<table>" + "".join(map(_row, operation.said)) + "</table>"
    if operation.body is not None:
        yield f"<p>A body: <code>{escape(json.dumps(operation.body))}</code></p>"


def _row(said: Said) -> str:
    needed = "required" if said.needed else "optional"
    where = escape(f"{said.place}, {needed}, {said.kind}")
    return f"<tr><td><code>{escape(said.name)}</code></td><td>{where}</td><td>{escape(said.text)}</td></tr>"
