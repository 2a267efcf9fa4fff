"""At what load a plan is tried: what options say, else what a running session shows, else what is assumed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from serving.cli.failure import CommandFailed

if TYPE_CHECKING:
    from serving.cli.control_client import ControlClient

Seen = Mapping[str, Any]
# Of fewer requests within the time nobody knows how many run together: then those of the whole session say it.
_FEWEST = 100
_WORDS = {"option": "as the option says"}


class Load(NamedTuple):
    """Of each figure what is known of it, None where nothing is."""

    requests_per_min: float | None = None
    error_rate: float | None = None
    runs_per_request: float | None = None
    workers: int | None = None


class Tried(NamedTuple):
    """What a plan is tried at, and of each figure where it is from: `option`, `measured` or `assumed`."""

    requests_per_min: float
    error_rate: float
    runs_per_request: float
    workers: int
    sources: Mapping[str, str]


# One worker, in which each request runs by itself.
_ASSUMED = Load(1_000.0, 0.01, 1.0, 1)


def tried(options: Load, measured: Load) -> Tried:
    """An option before what was measured, and what is assumed where neither says anything."""
    figures: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for source, load in (("assumed", _ASSUMED), ("measured", measured), ("option", options)):
        known = {name: value for name, value in load._asdict().items() if value is not None}
        figures |= known
        sources |= dict.fromkeys(known, source)
    return Tried(**figures, sources=sources)


def told(load: Tried) -> str:
    """The figures in one sentence, each with where it is from."""
    words = {
        "requests_per_min": f"{load.requests_per_min:,.4g} requests a minute",
        "error_rate": f"{100 * load.error_rate:.2g} % errors",
        "runs_per_request": f"{load.runs_per_request:.3g} runs a request",
        "workers": f"{load.workers} gateway worker{'s' if load.workers > 1 else ''}",
    }
    said = (f"{text} ({_WORDS.get(load.sources[name], load.sources[name])})" for name, text in words.items())
    return f"tried at {', '.join(said)}"


def measured_of(client: ControlClient, model: str, seconds: float, *, known: bool) -> tuple[Load, str]:
    """What a session shows of a model within some seconds, and the same in a sentence.

    Raises:
        CommandFailed: nothing came and the load is not `known`, or nothing answers.
    """
    path = f"/models/{quote(model, safe='')}/traffic"
    first = client.get(path)
    time.sleep(seconds)
    last = client.get(path)
    load = load_of(first, last)
    if load.requests_per_min is None:
        if known:
            return load, ""
        raise CommandFailed(
            f"{model} had no request within {seconds:g} s; name the load that there will be with --requests-per-min"
        )
    return load, (
        f"{model}: {load.requests_per_min:,.0f} requests a minute within {last['at_s'] - first['at_s']:.0f} s, and "
        f"{last['errors']:,} errors among {last['requests']:,} requests since the session began"
    )


def load_of(first: Seen, last: Seen) -> Load:
    """Of what a session told twice: requests of the time between, the errors of all, of which there are more."""
    came, took_s = last["requests"] - first["requests"], max(last["at_s"] - first["at_s"], 0.1)
    # None among so many is no rate of zero.
    errors, requests = max(last["errors"], 1), last["requests"]
    return Load(
        60 * came / took_s if came > 0 else None,
        min(errors / requests, 1.0) if requests else None,
        _runs_per_request(first, last),
        # A control app of the release before tells neither.
        max(last["workers"], 1) if "workers" in last else None,
    )


def _runs_per_request(first: Seen, last: Seen) -> float | None:
    """Of the time between, since it moves with the load; of all since the session began where hardly any came."""
    if "runs" not in last:
        return None
    requests, runs = last["requests"] - first["requests"], last["runs"] - first["runs"]
    if requests < _FEWEST:
        requests, runs = last["requests"], last["runs"]
    return runs / requests if requests and runs else None
