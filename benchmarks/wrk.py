"""The load: wrk with one thread, so many connections that each wait for their answer before they ask again."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.load import Load

SCRIPT = Path(__file__).with_suffix(".lua")


def apply(url: str, body: Path, headers: Mapping[str, str], connections: int, seconds: float) -> Load:
    """POST for so long what is in the file: all of it, or each of its lines in turn where it is named `.lines`.

    In a file named `.paths` a path and a tab stand before each.

    Raises:
        RuntimeError: wrk ended without figures; the text is what it wrote.
    """
    flags = [text for name, value in headers.items() for text in ("-H", f"{name}: {value}")]
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "10s", "-s", str(SCRIPT)]
    ended = subprocess.run(
        [*command, *flags, url, "--", str(body)], check=False, capture_output=True, text=True, timeout=seconds + 30
    )
    lines = ended.stderr.strip().splitlines()
    if ended.returncode or not lines or not lines[-1].startswith("{"):
        raise RuntimeError(f"wrk ended with {ended.returncode}: {ended.stdout[-500:]}{ended.stderr[-500:]}")
    return parse(json.loads(lines[-1]))


def parse(figures: dict[str, Any]) -> Load:
    """The figures as wrk.lua writes them."""
    errors = dict(figures["errors"])
    return Load(
        requests=figures["requests"],
        seconds=figures["duration_us"] / 1e6,
        p50_us=figures["p50_us"],
        p90_us=figures["p90_us"],
        p99_us=figures["p99_us"],
        max_us=figures["max_us"],
        failed=sum(errors.values()) - errors["timeout"],
        late=errors["timeout"],
        errors=errors,
        answer_bytes=figures["bytes"] / max(1, figures["requests"]),
    )
