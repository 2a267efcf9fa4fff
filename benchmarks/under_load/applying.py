"""Loads in phases: each phase's figures, and whether the generator kept up in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from loadtests.generator.client import Client
from loadtests.generator.outcomes import Outcomes, figures
from loadtests.generator.schedule import Phase, arrivals, merged, spans
from loadtests.generator.validity import validity


def apply(client: Client, phases: Sequence[Phase], seed: int, slo_s: float) -> tuple[Outcomes, dict[str, Any]]:
    """One stream of Poisson arrivals, and by name what each phase came to."""
    began, used = time.monotonic(), time.process_time()
    outcomes = client.open_loop(arrivals(phases, seed))
    cores = (time.process_time() - used) / (time.monotonic() - began)
    told = {
        span.name: told_of(outcomes.between(span.began, span.ended), span.ended - span.began, slo_s)
        for span in spans(phases)
    }
    return outcomes, {**told, "generator": {"cores": round(cores, 3), "connections": client.connections}}


def beside(
    client: Client, streams: Sequence[Phase], seed: int, slo_s: float, stop: Callable[[], bool] | None = None
) -> list[dict[str, Any]]:
    """Several streams at once, the figures of each; with `stop` they end once that says so."""
    due, of = merged([arrivals([phase], seed + number) for number, phase in enumerate(streams)])
    outcomes = client.open_loop(due, of, stop)
    lasted = float(outcomes.due[-1]) if len(outcomes) else 0.0
    seconds = lasted if stop is not None else max(phase.seconds for phase in streams)
    return [told_of(outcomes.where(outcomes.stream == number), seconds, slo_s) for number in range(len(streams))]


def told_of(outcomes: Outcomes, seconds: float, slo_s: float) -> dict[str, Any]:
    """Figures and validity as one entry."""
    return {**figures(outcomes, seconds or 1.0, slo_s), **validity(outcomes, slo_s).as_json()}
