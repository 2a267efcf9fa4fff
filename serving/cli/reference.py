"""`python -m serving.cli.reference docs` writes the pages that are made from the code."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

from serving.cli import control_reference
from serving.config import reference
from serving.edge.http.openapi import document
from serving.telemetry.catalogue import CATALOGUE

_METRICS = """# Metrics

On `http://HOST:8082/metrics`, for all workers at once: OpenMetrics for those who ask for it, else the older text of
Prometheus. Durations are in seconds. The variant is `stable` for the version that answers by default, `direct` for one
that only its number reaches. The goal of a request is its model's `latency_slo_ms`, or the time that its caller allows.
Slack can be negative, so its histogram has buckets and no sum, as OpenMetrics wants.

| metric | kind | labels | meaning |
|---|---|---|---|
"""

_COMMANDS = """# Commands

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not reachable, 4 rolled back or a gate not met, 130 ended by Ctrl-C.
Errors are one clear line on standard error; `SLUICE_DEBUG=1` shows where they came from.
"""


def pages() -> Mapping[str, str]:
    """Every page by its name in `docs`."""
    return {
        "configuration.md": reference.page(),
        "metrics.md": _metrics(),
        "commands.md": _commands(),
        "control-api.md": control_reference.page(),
        "openapi-data-plane.json": json.dumps(document("current"), indent=1) + "\n",
    }


def _metrics() -> str:
    rows = [
        f"| `{spec.name}` | {spec.kind} | {', '.join(spec.labels)} | {spec.help} |\n" for spec in CATALOGUE.values()
    ]
    return _METRICS + "".join(rows)


def _commands() -> str:
    # Imported late: it imports every command, and this file is none of them.
    from serving.cli.command_line import app

    parts = [_COMMANDS]
    for name, command in _leaves("sluice", typer.main.get_command(app)):
        parts.append(f"## {name}\n\n{command.help}\n")
        if command.epilog:
            parts.append(f"`{command.epilog.removeprefix('Example: ')}`\n")
        if command.params:
            parts.append("| option | meaning |\n|---|---|")
            parts.append("\n".join(_option(parameter) for parameter in command.params) + "\n")
    return "\n".join(parts)


def _leaves(name: str, command: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - typer gives no public type
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
        return
    for below, one in inner.items():
        yield from _leaves(f"{name} {below}", one)


def _option(parameter: Any) -> str:  # noqa: ANN401 - typer gives no public type
    spelled = ", ".join(parameter.opts) if parameter.param_type_name == "option" else str(parameter.name).upper()
    return f"| `{spelled}` | {getattr(parameter, 'help', '') or ''} |"


if __name__ == "__main__":
    for page, text in pages().items():
        (Path(sys.argv[1]) / page).write_text(text, encoding="utf-8")
