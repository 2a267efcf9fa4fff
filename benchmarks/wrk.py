"""The load: wrk with one thread, so many connections that each wait for their answer before they ask again."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).with_suffix(".lua")


@dataclass(frozen=True, slots=True)
class Load:
    """Durations in microseconds; `failed` counts answers of status 400 and more and broken
    connections, which can look quick; `late` those over 10 s, which cannot.
    """

    requests: int
    seconds: float
    p50_us: float
    p90_us: float
    p99_us: float
    max_us: float
    failed: int
    late: int
    errors: dict[str, int]
    answer_bytes: float

    @property
    def per_second(self) -> float:
        """Answers a second, failed ones left out."""
        return (self.requests - self.errors["status"]) / self.seconds


def apply(url: str, body: Path, connections: int, seconds: float) -> Load:
    """Send the file's bytes as a POST for so long.

    Raises:
        RuntimeError: wrk ended without figures; the text is what it wrote.
    """
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "10s", "-s", str(SCRIPT)]
    ended = subprocess.run(
        [*command, url, "--", str(body)], check=False, capture_output=True, text=True, timeout=seconds + 30
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
