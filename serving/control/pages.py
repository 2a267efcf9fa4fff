"""The page that lists what the control API can do: plain HTML without scripts, so that it works in a closed network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

_HEAD = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Sluice control API</title>
<style>body{font:16px system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
code{font-family:ui-monospace,monospace}td,th{text-align:left;padding:.2rem 1rem .2rem 0;vertical-align:top}
h2{margin-top:2rem;font-size:1.1rem}</style><h1>Sluice control API</h1>
<p>The whole document: <a href="/openapi.json">/openapi.json</a>. Every change needs
<code>authorization: Bearer TOKEN</code>; <code>sluice up</code> says in which file the token is.</p>"""


def documentation(document: Mapping[str, Any]) -> str:
    """One section for each operation of an OpenAPI document."""
    return _HEAD + "".join(_operations(document))


def _operations(document: Mapping[str, Any]) -> Iterator[str]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield f"<h2><code>{method.upper()} {escape(path)}</code></h2>"
            yield f"<p>{escape(operation.get('description', ''))}</p>"
            parameters = operation.get("parameters", [])
            if parameters:
                yield "<table>" + "".join(_row(parameter) for parameter in parameters) + "</table>"


def _row(parameter: Mapping[str, Any]) -> str:
    needed = "required" if parameter.get("required") else "optional"
    name, text = escape(parameter["name"]), escape(parameter.get("description", ""))
    return f"<tr><td><code>{name}</code></td><td>{parameter['in']}, {needed}</td><td>{text}</td></tr>"
