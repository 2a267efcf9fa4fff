"""A result held against an earlier one, which its scenario names: a gate for each bound on a ratio."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from loadtests.compare import Ratio, compared, differences
from loadtests.judging.gates import WHOLE, Judged
from loadtests.report.files import read_result
from loadtests.running.result import FAILED, INTERRUPTED, INVALID, PASSED
from loadtests.scenario.scenario import Reference, Scenario
from serving.errors import ConfigInvalid

Result = Mapping[str, Any]
# By the key of a bound: how `compared` calls the figure.
_FIGURES = {"p50": "p50 ms", "p99": "p99 ms", "p999": "p99.9 ms", "right_per_second": "right/s"}
_AT_LEAST = "right_per_second"


def read_reference(scenario: Scenario, folder: Path) -> Result | None:
    """The earlier result, beside the scenario; None where it names none.

    Raises:
        ConfigInvalid: it is no result, or its own load says nothing of its server.
    """
    if scenario.reference is None:
        return None
    found = read_result(folder / scenario.reference.result)
    if found["verdict"] in (INVALID, INTERRUPTED):
        raise ConfigInvalid(f"reference: {scenario.reference.result} is {found['verdict']}; name a whole, valid result")
    return found


def refuse_reference(scenario: Scenario, who: str) -> None:
    """For whoever ends without a whole result, of which nothing can be held against an earlier one.

    Raises:
        ConfigInvalid: the scenario names an earlier result.
    """
    if scenario.reference is not None:
        raise ConfigInvalid(
            f"reference: {who} holds nothing against an earlier result; use `sluice loadtest run`, or a scenario "
            "without reference"
        )


def held_against(found: Result, earlier: Result | None, wanted: Reference | None) -> Result:
    """The result with gates for what the reference bounds, its verdict by them too, and notes on what differs."""
    if earlier is None or wanted is None:
        return found
    try:
        gates = list(_judged(wanted, compared(earlier, found)))
    except ConfigInvalid as problem:
        bounds = wanted.bounds().items()
        gates = [Judged(WHOLE, _name(key, wanted), bound, None, met=False, note=str(problem)) for key, bound in bounds]
    told = [f"reference: {text}" for text in differences(earlier, found)]
    missed = found["verdict"] == PASSED and not all(gate.met for gate in gates)
    return {
        **found,
        "verdict": FAILED if missed else found["verdict"],
        "gates": [*found["gates"], *(asdict(gate) for gate in gates)],
        "notes": [*found["notes"], *told],
    }


def _judged(wanted: Reference, ratios: list[Ratio]) -> Iterator[Judged]:
    """By the end of the interval that is worse for the server: what is not sure is not met."""
    by_figure = {ratio.figure: ratio for ratio in ratios}
    for key, bound in wanted.bounds().items():
        one = by_figure[_FIGURES[key]]
        met = one.low >= bound if key == _AT_LEAST else one.high <= bound
        note = f"{one.ratio:.3f} ({one.low:.3f} to {one.high:.3f})"
        yield Judged(WHOLE, _name(key, wanted), bound, round(one.ratio, 4), met, note)


def _name(key: str, wanted: Reference) -> str:
    return f"{_FIGURES[key].removesuffix(' ms')} to {wanted.result}'s"
