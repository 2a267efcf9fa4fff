"""More than can be served: goodput against its peak, refusals, and how soon all is well after the load falls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.encodings import JsonTensors
from benchmarks.open_loop.questions import questions
from benchmarks.under_load.applying import apply
from benchmarks.under_load.models import calibrated, tiny
from benchmarks.under_load.promises import Promise, at_least, at_most, rows_of
from benchmarks.under_load.session import folder, running
from benchmarks.workload import Workload
from loadtests.generator.client import Client, Limits
from loadtests.generator.outcomes import figures, recovery_s
from loadtests.generator.schedule import Phase

STEPS = (0.6, 0.7, 0.8, 0.9, 1.0, 1.1)
# Where the last step is the best, so much more is asked until it no longer is.
CLIMB = 1.2
LONGEST_CLIMB = 12
# A load that has so much more goodput shows that the peak was not found; it is then looked for again, so many times.
OUTDONE = 1.1
SEARCHES = 3
CALM = 0.5
# Connections made before, as callers keep them: making thousands at once would be another load.
OPENED = 512
WARM_S = 3.0
RECOVERY_S = 10.0
REFUSED_MS = 10.0
RECOVERED_S = 2.0


@dataclass(frozen=True, slots=True)
class Case:
    """A model, its goal, the multiples of its capacity to ask for, and the share of the peak that is promised.

    `apart` leaves a core to the generator: where the gateway is what is short, it must not share with who asks.
    """

    workload: Workload
    slo_ms: float
    factors: tuple[float, ...]
    share_of_peak: float
    callers: int
    apart: bool


@dataclass(frozen=True, slots=True)
class Lengths:
    """Seconds of each load, and of each step of the search for the peak."""

    load: float = 60.0
    step: float = 5.0


def cases(models: Path, names: list[str], row_ms: float) -> list[Case]:
    """By name: `model-bound`, where the run of a row is what costs, and `mlp`, where everything else is."""
    made = []
    if "model-bound" in names:
        bound = calibrated(models, "model-bound", row_ms, per_row=True)
        made.append(Case(bound, 50 * max(1.0, row_ms), (0.9, 1.5, 3.0), 0.9, 16, apart=False))
    if "mlp" in names:
        made.append(Case(tiny(models, JsonTensors()), 25, (1.3,), 0.8, 64, apart=True))
    return made


def measure(engine: str, names: list[str], row_ms: float, lengths: Lengths, seed: int) -> dict[str, Any]:
    """Every case on a server of its own."""
    told = []
    with folder() as models:
        for case in cases(models, names, row_ms):
            sections = {"models": {case.workload.model: {"latency_slo_ms": case.slo_ms}}}
            with running(models, engine, sections, [case.workload], apart=case.apart) as session:
                client = Client(session.port, [questions(case.workload)], Limits(opened=OPENED))
                told.append(_Measurement(client, case, lengths, seed).told())
                client.close()
            told[-1]["others_cores"] = session.others_cores
    return {"cases": told}


class _Measurement:
    """One case on its server, whose peak is looked for first."""

    def __init__(self, client: Client, case: Case, lengths: Lengths, seed: int) -> None:
        self._client = client
        self._case = case
        self._slo_s = case.slo_ms / 1e3
        self._lengths = lengths
        self._seed = seed

    def told(self) -> dict[str, Any]:
        """The peak is the best goodput of callers who wait and of steps around what those reached.

        Whatever else slowed the server then may have ended: what has more goodput later is looked around in turn.
        """
        case, step_s = self._case, self._lengths.step
        self._client.closed_loop(case.callers, 2.0)
        closed = figures(self._client.closed_loop(case.callers, step_s), step_s, self._slo_s)
        peak = Peak(self._step, closed["goodput_per_second"])
        peak.look_around(closed["answered_per_second"])
        loads, problem = [], None
        for search in range(1, SEARCHES + 1):
            loads = [self._load(peak.per_second, factor) for factor in case.factors]
            reached = [load["load"]["goodput_per_second"] for load in loads]
            if not outdone(peak.per_second, reached):
                break
            if search == SEARCHES:
                problem = f"a load had {max(reached):.0f} a second, the peak is thought to be {peak.per_second:.0f}"
            else:
                peak.look_around(max(reached))
        return {
            "model": case.workload.name,
            "slo_ms": case.slo_ms,
            "apart": case.apart,
            "closed_loop": {"callers": case.callers, **closed},
            "steps": peak.steps,
            "peak_per_second": peak.per_second,
            "loads": [self._judged(load, problem) for load in loads],
        }

    def _judged(self, told: dict[str, Any], problem: str | None) -> dict[str, Any]:
        if problem is not None:
            told["load"] |= {"valid": False, "problem": problem}
        return {**told, "promises": rows_of(promised(told, self._case.share_of_peak))}

    def _step(self, rate: float) -> dict[str, Any]:
        # A moment of little first: what the step before left must not count here.
        phases = [Phase("calm", CALM * rate, 1.0), Phase("step", rate, self._lengths.step)]
        _, told = apply(self._client, phases, self._seed, self._slo_s)
        return dict(told["step"])

    def _load(self, peak: float, factor: float) -> dict[str, Any]:
        phases = [
            Phase("warm-up", CALM * peak, WARM_S),
            Phase("load", factor * peak, self._lengths.load),
            Phase("recovery", CALM * peak, RECOVERY_S),
        ]
        outcomes, phased = apply(self._client, phases, self._seed, self._slo_s)
        return {
            "factor": factor,
            "of_peak": phased["load"]["goodput_per_second"] / peak,
            "recovery_s": recovery_s(outcomes, WARM_S + self._lengths.load, self._slo_s),
            **phased,
        }


class Peak:
    """The best goodput of all steps; `step` asks at a rate and tells of it."""

    def __init__(self, step: Callable[[float], dict[str, Any]], per_second: float = 0.0) -> None:
        self._step = step
        self.per_second = per_second
        self.steps: list[dict[str, Any]] = []

    def look_around(self, rate: float) -> None:
        """Ask at rates around this one, and at higher ones as long as that brings more."""
        for factor in STEPS:
            self._ask(rate, factor)
        factor = STEPS[-1]
        for _ in range(LONGEST_CLIMB):
            if self.steps[-1]["goodput_per_second"] < self.per_second:
                return
            factor *= CLIMB
            self._ask(rate, factor)

    def _ask(self, rate: float, factor: float) -> None:
        told = self._step(factor * rate)
        self.steps.append({"around": rate, "factor": factor, **told})
        self.per_second = max(self.per_second, told["goodput_per_second"])


def outdone(peak: float, reached: Sequence[float]) -> bool:
    """Whether a load had so much more goodput than the peak that it is none."""
    return max(reached) > OUTDONE * peak


def promised(told: dict[str, Any], share_of_peak: float) -> list[Promise]:
    """What is promised of a load below capacity, and of one above; of refusals only where there were any."""
    load, refused = told["load"], told["load"]["refused"]
    if told["factor"] < 1:
        return [at_least("share within the goal", load["share_within"], 0.99).of(load)]
    recovery = at_most("recovery s", told["recovery_s"], RECOVERED_S).of(load, told["recovery"])
    refusals = [at_most("refusals p99 ms", refused["p99_ms"], REFUSED_MS).of(load)] if refused["count"] else []
    return [at_least("goodput of peak", told["of_peak"], share_of_peak).of(load), *refusals, recovery]


def method(results: dict[str, Any]) -> str:
    """How long what was asked."""
    one = results["cases"][0]["loads"][0]
    before, load, after = (f"{one[phase]['seconds']:g} s" for phase in ("warm-up", "load", "recovery"))
    return (
        f"Each load was asked for once, for {load}; {before} at half the peak came before it, and {after} after it, by "
        "which the recovery is judged."
    )


def lines(results: dict[str, Any]) -> list[list[str]]:
    """A row for each load."""
    return [
        [
            case["model"],
            f"{load['factor']:g} x {case['peak_per_second']:,.0f}/s",
            f"{load['of_peak']:.3f}",
            f"{load['load']['share_within']:.2%}",
            _text(load["load"]["right"]["p99_ms"]),
            f"{load['load']['refused']['count']} ({_text(load['load']['refused']['p99_ms'])})",
            _text(load["recovery_s"]),
            _text(load["load"]["lateness"].get("p99_ms")),
            load["load"]["problem"] or load["load"]["short"] or "kept up",
            ", ".join(f"{status} {count}" for status, count in load["load"]["by_status"].items()),
        ]
        for case in results["cases"]
        for load in case["loads"]
    ]


HEAD = [
    "model", "load", "goodput of peak", "within goal", "right p99 ms", "refused (p99 ms)", "recovery s",
    "late p99 ms", "generator", "answers",
]  # fmt: skip


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}"
