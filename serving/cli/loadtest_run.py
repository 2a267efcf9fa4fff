"""One load test: read, permit, reach, run with a live view, show, write."""

from __future__ import annotations

import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from loadtests.reference import held_against, read_reference
from loadtests.report.files import write_reports
from loadtests.running.fleet import GeneratorLost
from loadtests.running.permission import Address, permitted_address
from loadtests.running.run import run
from loadtests.scenario.changed import changed
from loadtests.scenario.reading import find, read
from loadtests.scenario.scenario import Scenario
from serving.cli.failure import CommandFailed, not_reachable
from serving.cli.loadtest_screen import LoadScreen, show
from serving.cli.output import console, print_json

_CONNECT_S = 3.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line says."""

    scenario: str
    target: str | None
    metrics: str | None
    yes_load: str | None
    scale: float
    for_s: float | None
    json_file: Path | None
    report_to: Path | None = None


def run_scenario(wanted: Wanted) -> str:
    """The verdict.

    Raises:
        ConfigInvalid: the scenario, or a target that was not permitted.
        CommandFailed: nothing answers there, or a generator failed.
    """
    file = find(wanted.scenario)
    scenario = changed(read(file), target=wanted.target, metrics=wanted.metrics, scale=wanted.scale, for_s=wanted.for_s)
    address = permitted_address(scenario.target, wanted.yes_load)
    reach(scenario, address)
    earlier = read_reference(scenario, file.parent)
    measured = watched(scenario, file.parent, address, quiet=wanted.json_file == Path("-"))
    found = held_against(measured, earlier, scenario.reference)
    written = write_reports(found, wanted.report_to) if wanted.report_to is not None else []
    if wanted.json_file == Path("-"):
        print_json(found)
    else:
        show(console(), found)
        write_json(found, wanted.json_file)
        for file in written[:1]:
            console().print(f"  {file}", soft_wrap=True)
    return str(found["verdict"])


def watched(scenario: Scenario, folder: Path, address: Address, *, quiet: bool) -> dict[str, Any]:
    """Run it, and show how it goes."""
    heed_interrupts()
    try:
        if quiet:
            return run(scenario, folder, address=address)
        with LoadScreen(console(), scenario) as screen:
            return run(scenario, folder, screen.update, address)
    except GeneratorLost as lost:
        raise CommandFailed(str(lost)) from lost


def heed_interrupts() -> None:
    """Ctrl-C ends a run also where a script's shell started it in the background, which ignores it to begin with."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def reach(scenario: Scenario, address: Address) -> None:
    """Before processes are started for nothing."""
    try:
        socket.create_connection(address, _CONNECT_S).close()
    except OSError as error:
        raise not_reachable(f"{scenario.target} does not answer ({error.strerror or error})") from error


def write_json(document: Mapping[str, Any], file: Path | None) -> None:
    """For reports and comparisons."""
    if file is not None:
        file.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
