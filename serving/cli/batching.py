"""How a running session batches a model, as `sluice models show` tells it: in sentences, and a table beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from serving.cli.control_client import control_client
from serving.cli.failure import CommandFailed
from serving.cli.output import note
from serving.control.auth import is_loopback
from serving.processes import running_sessions

Version = Mapping[str, Any]

COLUMNS = (
    *("version", "variant", "waiting", "batches", "rows each"),
    *("half had left", "19 of 20 had", "late", "refused rows"),
)
NUMBERS = ("version", "waiting", "batches", "rows each", "half had left", "19 of 20 had", "late")


def batching_of(url: str, model: str, control_url: str | None, token_file: Path | None) -> dict[str, Any] | None:
    """What the control API of the session tells that serves predictions at `url`; None where there is none to ask.

    Raises:
        CommandFailed: a control API was named, and does not tell it.
    """
    if control_url is not None:
        return dict(control_client(0, control_url, token_file).batching(model))
    port = _port_of_a_session(url)
    if port is None:
        return None
    try:
        return dict(control_client(port, None, token_file).batching(model))
    except CommandFailed as failed:
        note(f"batching is not shown: {failed.message}")
        return None


def sentences(document: Mapping[str, Any], version: int | None = None) -> Iterator[str]:
    """What a run takes and what follows from it, of each version, or of one."""
    for one in _wanted(document, version):
        yield f"{one['variant']}, version {one['version']} in pool {one['pool']}: {_sentence(one)}"
    refused = _reasons(document["refused_requests"])
    if refused:
        yield f"requests that reached no batch: {refused}"


def rows(document: Mapping[str, Any], version: int | None = None) -> Iterator[tuple[str, ...]]:
    """The table's rows, in the order of `COLUMNS`."""
    for one in _wanted(document, version):
        slack = one["slack"]
        yield (
            str(one["version"]),
            one["variant"],
            _waiting(one["queue_rows"]),
            str(one["batches"]),
            f"{one['rows_per_batch']:.1f}" if one["batches"] else "",
            _over(slack["half_had_s"]) if slack["batches"] else "",
            _over(slack["most_had_s"]) if slack["batches"] else "",
            str(slack["late"]),
            _reasons(one["refused_rows"]),
        )


def _wanted(document: Mapping[str, Any], version: int | None) -> list[Version]:
    return [one for one in document["versions"] if version in (None, one["version"])]


def _sentence(one: Version) -> str:
    estimate, window = one["estimate"], one["window"]
    if estimate is None:
        return "nothing hosts it now."
    line = f"{_ms(estimate['fixed_s'])} + {_ms(estimate['row_s'])} * n ms"
    if not estimate["runs"]:
        return f"no run was seen yet; a batch of n rows is expected to take {line}. {_fit(one)}"
    largest = window["most_rows"]
    late_s = estimate["margin"] * (estimate["fixed_s"] + estimate["row_s"] * largest)
    within = f"99 of 100 of {_count(largest, 'row')} within {_ms(late_s)} ms"
    return f"a batch of n rows runs {line}, {within} (learned from {_count(estimate['runs'], 'run')}). {_fit(one)}"


def _fit(one: Version) -> str:
    estimate, window = one["estimate"], one["window"]
    goal = f"{'goal' if one['promised'] else 'deadline'} of {_ms(one['goal_s'])} ms"
    if estimate["margin"] * (estimate["fixed_s"] + estimate["row_s"]) > one["goal_s"]:
        return f"Even one row alone does not meet the {goal}."
    most, enough = window["most_rows"], window["enough_rows"]
    bound = ", the most that may run together" if most == window["max_rows"] > 1 else ""
    more = f"; from {enough} on more hardly help" if enough < most else ""
    return f"Batches of up to {_count(most, 'row')} meet the {goal}{bound}{more}."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _waiting(levels: Mapping[str, int]) -> str:
    total = str(sum(levels.values()))
    if len(levels) < 2:  # noqa: PLR2004 - where only one waits it is mostly the default one
        return total
    return f"{total} ({', '.join(f'{count} of level {level}' for level, count in sorted(levels.items()))})"


def _over(seconds: float | None) -> str:
    return "none" if seconds is None else f"> {_ms(seconds)} ms"


def _reasons(counts: Mapping[str, float]) -> str:
    return ", ".join(f"{reason} {count:g}" for reason, count in sorted(counts.items()))


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.3g}" if seconds < 1.0 else f"{seconds * 1000:.0f}"


def _port_of_a_session(url: str) -> int | None:
    """The port of a session of this user that serves a control API, if it is what answers at that address."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.port is None or parts.path.strip("/"):
        return None
    running = running_sessions.find(parts.port)
    if running is None or running.control_port is None:
        return None
    here = is_loopback(parts.hostname or "") or parts.hostname == running.http_host
    return parts.port if here else None
