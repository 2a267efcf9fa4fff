"""One load test: read, permit, reach, run with a live view, show, write."""

from __future__ import annotations

import os
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
from serving.cli.overwriting import refuse_to_overwrite
from serving.errors import ConfigInvalid

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
    gate: bool = False


def run_scenario(wanted: Wanted) -> str:
    """The verdict.

    Raises:
        ConfigInvalid: the scenario, a target that was not permitted, or a place that cannot be written.
        CommandFailed: nothing answers there, a generator failed, or --json names what is read.
    """
    file = find(wanted.scenario)
    scenario = changed(read(file), target=wanted.target, metrics=wanted.metrics, scale=wanted.scale, for_s=wanted.for_s)
    if wanted.gate:
        check_gates(scenario)
    address = permitted_address(scenario.target, wanted.yes_load)
    check_place(wanted.json_file, file, scenario)
    check_folder(wanted.report_to)
    reach(scenario, address)
    earlier = read_reference(scenario, file.parent)
    measured = watched(scenario, file.parent, address, quiet=wanted.json_file == Path("-"))
    found = held_against(measured, earlier, scenario.reference)
    _tell(found, wanted)
    return str(found["verdict"])


def _tell(found: Mapping[str, Any], wanted: Wanted) -> None:
    """Shown first: whatever becomes of files, the figures are not lost."""
    quiet = wanted.json_file == Path("-")
    if quiet:
        print_json(found)
    else:
        show(console(), found)
        write_json(found, wanted.json_file)
    if wanted.report_to is not None:
        page, *_ = write_reports(found, wanted.report_to)
        if not quiet:
            console().print(f"  {page}", soft_wrap=True)


def check_gates(scenario: Scenario) -> None:
    """Refuse what could never miss.

    Raises:
        ConfigInvalid: nothing has to hold.
    """
    if not (scenario.gates.model_dump(exclude_defaults=True) or scenario.chaos or scenario.reference):
        raise ConfigInvalid(f"{scenario.name} has no gates, of which --gate could tell that one was missed: name some")


def check_place(json_file: Path | None, file: Path, scenario: Scenario) -> None:
    """Before minutes of a load are asked for nothing.

    Raises:
        ConfigInvalid: no such file can be written.
        CommandFailed: it is the scenario's own, or one of its payloads.
    """
    refuse_to_overwrite("--json", json_file, file, *(file.parent / users.payload for users in scenario.users))
    if json_file is None or json_file == Path("-"):
        return
    at = json_file if json_file.exists() else json_file.parent
    if json_file.is_dir() or not os.access(at, os.W_OK):
        raise ConfigInvalid(f"--json {json_file} cannot be written: name a file in a folder that is there")


def check_folder(folder: Path | None) -> None:
    """Likewise of a report's, which is made.

    Raises:
        ConfigInvalid: it cannot be.
    """
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigInvalid(f"--report {folder} cannot be made: {error.strerror}") from error
    if not os.access(folder, os.W_OK):
        raise ConfigInvalid(f"--report {folder} cannot be written")


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
    """Ctrl-C ends a run also where a script's shell started it in the background, which ignores it to begin with.

    So does SIGTERM, by which builds are cancelled, and the end of a terminal: what was measured is told, and what is
    done to the server is undone.
    """
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.default_int_handler)


def reach(scenario: Scenario, address: Address) -> None:
    """Before processes are started for nothing."""
    try:
        socket.create_connection(address, _CONNECT_S).close()
    except OSError as error:
        raise not_reachable(f"{scenario.target} does not answer ({error.strerror or error})") from error


def write_json(document: Mapping[str, Any], file: Path | None) -> None:
    """For reports and comparisons.

    Raises:
        ConfigInvalid: the file cannot be written.
    """
    if file is None:
        return
    try:
        file.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    except OSError as error:
        raise ConfigInvalid(f"{file} cannot be written: {error.strerror}") from error
