"""The search for the highest rate at which a goal holds, each step as it is over."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from loadtests.capacity import Capacity, Goal, Search, Tried, at_rate, find, judged
from loadtests.reference import refuse_reference
from loadtests.running.fleet import GeneratorLost
from loadtests.running.permission import permitted_address
from loadtests.running.run import run
from loadtests.scenario.changed import changed
from loadtests.scenario.reading import find as find_scenario
from loadtests.scenario.reading import read
from serving.cli.failure import CommandFailed, ExitCode
from serving.cli.loadtest_run import heed_interrupts, reach, write_json
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
        ConfigInvalid: the scenario, one with a reference, or a target that was not permitted.
        CommandFailed: nothing answers there, a generator failed, or Ctrl-C.
    """
    file = find_scenario(wanted.scenario)
    scenario = changed(read(file), target=wanted.target)
    refuse_reference(scenario, "find-capacity")
    address = permitted_address(scenario.target, wanted.yes_load)
    reach(scenario, address)
    heed_interrupts()
    quiet = wanted.json_file == Path("-")

    def ask(rate: float, number: int) -> Tried:
        try:
            return _asked(rate, number)
        except GeneratorLost as lost:
            raise CommandFailed(str(lost)) from lost

    def _asked(rate: float, number: int) -> Tried:
        result = run(at_rate(scenario, goal, search, rate, number), file.parent, address=address)
        if result["verdict"] == "interrupted":
            raise CommandFailed("interrupted; what was found until then is above", ExitCode.INTERRUPTED)
        return judged(result, goal, rate)

    for step in find(ask, goal, search):
        if isinstance(step, Capacity):
            _tell(step, wanted.json_file, quiet=quiet)
            return step
        if not quiet:
            console().print(f"  {step.rate:10,.0f}/s  {step.held:8} {step.reason}", soft_wrap=True)
    raise CommandFailed("the search had no step")


def _tell(found: Capacity, json_file: Path | None, *, quiet: bool) -> None:
    if quiet:
        print_json(found.as_json())
        return
    upper = "and nothing was missed" if found.high is None else f"{found.low:,.0f} to {found.high:,.0f}/s"
    console().print(f"{found.rate:,.0f}/s ({upper}): {found.reason}", soft_wrap=True)
    write_json(found.as_json(), json_file)
