"""The search for the highest rate at which a goal holds, each step as it is over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from loadtests.capacity import Capacity, Goal, Search, Tried, at_rate, capacity, find, judged
from loadtests.reference import refuse_reference
from loadtests.running.fleet import GeneratorLost
from loadtests.running.permission import permitted_address
from loadtests.running.run import run
from loadtests.scenario.changed import changed
from loadtests.scenario.reading import find as find_scenario
from loadtests.scenario.reading import read
from serving.cli.failure import CommandFailed, ExitCode
from serving.cli.loadtest_run import check_place, heed_interrupts, reach, write_json
from serving.cli.output import console, print_json


@dataclass(frozen=True, slots=True)
class WantedCapacity:
    """What the command line says."""

    scenario: str
    target: str | None
    yes_load: str | None
    json_file: Path | None


def find_capacity(wanted: WantedCapacity, goal: Goal, search: Search) -> Capacity:
    """Search, and tell every step.

    Raises:
        ConfigInvalid: the scenario, one with a reference, a target that was not permitted, or a file that cannot be
            written.
        CommandFailed: nothing answers there, a generator failed, --json names what is read, or Ctrl-C.
    """
    file = find_scenario(wanted.scenario)
    scenario = changed(read(file), target=wanted.target)
    refuse_reference(scenario, "find-capacity")
    address = permitted_address(scenario.target, wanted.yes_load)
    check_place(wanted.json_file, file, scenario)
    reach(scenario, address)
    heed_interrupts()

    def ask(rate: float, number: int) -> Tried:
        try:
            result = run(at_rate(scenario, goal, search, rate, number), file.parent, address=address)
        except GeneratorLost as lost:
            raise CommandFailed(str(lost)) from lost
        if result["verdict"] == "interrupted":
            raise KeyboardInterrupt
        return judged(result, goal, rate)

    return _searched(find(ask, goal, search), goal, wanted.json_file)


def _searched(steps: Iterator[Tried | Capacity], goal: Goal, json_file: Path | None) -> Capacity:
    """Tell each step, and at the end, or where Ctrl-C ends it, what they say together."""
    tried: list[Tried] = []
    try:
        for step in steps:
            if isinstance(step, Capacity):
                _tell(step, json_file)
                return step
            tried.append(step)
            if not _is_output(json_file):
                console().print(f"  {step.rate:10,.0f}/s  {step.held:8} {step.reason}", soft_wrap=True)
    except KeyboardInterrupt:
        if not tried:
            raise CommandFailed("interrupted before the first step was over", ExitCode.INTERRUPTED) from None
        _tell(capacity(tried, goal, "Ctrl-C ended the search"), json_file)
        raise CommandFailed("interrupted; what was found until then is above", ExitCode.INTERRUPTED) from None
    raise CommandFailed("the search had no step")


def _is_output(json_file: Path | None) -> bool:
    return json_file == Path("-")


def _tell(found: Capacity, json_file: Path | None) -> None:
    if _is_output(json_file):
        print_json(found.as_json())
        return
    upper = "and nothing was missed" if found.high is None else f"{found.low:,.0f} to {found.high:,.0f}/s"
    console().print(f"{found.rate:,.0f}/s ({upper}): {found.reason}", soft_wrap=True)
    write_json(found.as_json(), json_file)
