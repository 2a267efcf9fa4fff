"""A load test from its scenario to its result."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from loadtests.generator.outcomes import UNANSWERED, Outcomes
from loadtests.judging.gates import DEGRADED as DEGRADED_PART
from loadtests.judging.gates import judged, judged_duration
from loadtests.judging.self_check import self_check
from loadtests.running.chaos import ChaosRun
from loadtests.running.chaos import judged as judged_chaos
from loadtests.running.environment import environment
from loadtests.running.fleet import Fleet, Load, common_names, fleet
from loadtests.running.generator import DEGRADED
from loadtests.running.permission import Address, check_own, permitted_address
from loadtests.running.plan import processes_of, seconds_of
from loadtests.running.result import Around, Measured, counted_seconds, document
from loadtests.running.server_stages import Scrape, means_ms, near_look_ups, scraped
from loadtests.scenario.scenario import Scenario
from loadtests.scenario.shape import StageSpan, stage_spans

_LOOK_EVERY_S = 0.5
# Between looks is so many times what one took.
_LOOK_SHARE = 30
# Of Ctrl-C, so many leave a report.
_MOST_INTERRUPTS = 2


@dataclass(frozen=True, slots=True)
class Look:
    """How far a running load is: what was due up to now, and what became of it so far."""

    seconds: float
    of: float
    outcomes: Outcomes


Watch = Callable[[Look], None]


def run(scenario: Scenario, folder: Path, watch: Watch | None = None, address: Address | None = None) -> dict[str, Any]:
    """Ask as the scenario says, tell `watch` twice a second, and judge; Ctrl-C ends the load and judges what there is.

    A second Ctrl-C does not wait for what is still out, and a third one for nothing.

    `address` is what `permitted_address` found for the target; without it, only this machine is permitted.

    Raises:
        ConfigInvalid: the scenario names a file or a program that cannot be used.
        GeneratorLost: a generator failed.
    """
    seconds = seconds_of(scenario, folder)
    address = address or permitted_address(scenario.target, None)
    if scenario.chaos:
        check_own(scenario.target, address)
    chaos = ChaosRun(scenario.chaos, address[1])
    processes = processes_of(scenario, folder, len(os.sched_getaffinity(0)))
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    # Before there is a moment from which all counts: who scrapes slowly would have chaos come late.
    before = scraped(scenario.metrics)
    with fleet(Load(scenario, folder, address), processes, seconds) as generators, chaos:
        chaos.begin(generators.began)
        interrupted = _until_over(generators, watch)
        after = _scraped_after(scenario.metrics)
        marks = chaos.end(at_once=interrupted)
        accounts = generators.accounts()
        names = [account.variants for account in accounts]
        outcomes = settled(generators.outcomes(names), left=generators.left)
        lags = [one.columns.lag_s for one in generators.generators]
        ended_early = interrupted or generators.full
    lasted = float(outcomes.due[-1]) if ended_early and len(outcomes) else seconds
    measured = _measured(scenario, outcomes, common_names(names), lasted, interrupted=interrupted)
    check = self_check(measured.counted, scenario.gates, accounts, lags)
    gates = [
        *judged(scenario.gates, measured.counted, measured.variants),
        *judged_duration(scenario.gates, counted_seconds(measured)),
        *judged_chaos(marks, len(scenario.chaos)),
    ]
    around = Around(started_at, environment(), marks, means_ms(before, after), near_look_ups(before, after))
    return document(scenario, measured, check, gates, around)


def _until_over(generators: Fleet, watch: Watch | None) -> bool:
    """Whether Ctrl-C ended it."""
    interrupts, pause_s = 0, _LOOK_EVERY_S
    while True:
        try:
            if not generators.running or generators.wait(pause_s):
                return interrupts > 0
            if watch is not None:
                began = time.monotonic()
                watch(look(generators))
                # A look at millions of requests takes its time, of a core that generator or server may need.
                pause_s = max(_LOOK_EVERY_S, _LOOK_SHARE * (time.monotonic() - began))
        except KeyboardInterrupt:
            interrupts += 1
            # The second one is for who has no patience with what is still out, the third for who wants no report.
            if interrupts > _MOST_INTERRUPTS:
                raise
            generators.stop(at_once=interrupts == _MOST_INTERRUPTS)


def _scraped_after(metrics: str | None) -> Scrape | None:
    try:
        return scraped(metrics)
    except KeyboardInterrupt:
        # The load is there as a whole, and is more than the server's own figures.
        return None


def settled(outcomes: Outcomes, *, left: bool) -> Outcomes:
    """What was still out when somebody would not wait for it has no end, and is no request that nobody answered."""
    return outcomes.where((outcomes.status != UNANSWERED) | np.isfinite(outcomes.ended)) if left else outcomes


def look(generators: Fleet) -> Look:
    """What is there by now, read off the generators' own memory."""
    now = time.monotonic() - generators.began
    return Look(max(0.0, now), generators.seconds, generators.outcomes())


def _measured(
    scenario: Scenario, outcomes: Outcomes, names: list[str], seconds: float, *, interrupted: bool
) -> Measured:
    spans = stage_spans(scenario.shape) or [StageSpan("replay", 0.0, seconds, warm_up=False)]
    warm = np.zeros(len(outcomes), np.bool_)
    for span in spans:
        if span.warm_up:
            warm |= (outcomes.due >= span.began) & (outcomes.due < span.ended)
    counted = outcomes.where(~warm)
    return Measured(outcomes, counted, spans, by_variant(counted, names), seconds, interrupted)


def by_variant(outcomes: Outcomes, names: list[str]) -> dict[str, Outcomes]:
    """Answers of each variant, with those that were made with defaults; the latter apart too."""
    told: dict[str, Outcomes] = {}
    for name in sorted({name.removesuffix(DEGRADED) for name in names}):
        numbers = [number for number, known in enumerate(names) if known.removesuffix(DEGRADED) == name]
        told[name] = outcomes.where(np.isin(outcomes.variant, numbers))
        with suppress(ValueError):
            told[name + DEGRADED_PART] = outcomes.where(outcomes.variant == names.index(name + DEGRADED))
    return told
