"""Rolls a version of the flights model out in a running session while passengers ask, and shows what becomes of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from deployments.flights.sample import MODEL, FlightSample
from serving.cli.control_client import ControlClient
from serving.cli.demo_passengers import RATE, Passengers
from serving.cli.demo_trials import STABLE, DemoTrial
from serving.cli.failure import CommandFailed
from serving.cli.rollout_screen import explained, tree
from serving.cli.session_screen import control_url, gateway_url
from serving.processes.running_sessions import RunningSession

_LOOK_EVERY_S = 1.0
_CONTROL_WITHIN_S = 30.0
_IN_FORCE_WITHIN_S = 1.5
# So long the traffic is looked at after the end.
_AFTERWARDS_S = 2.0
# Where lines cannot be redrawn, one now and then says that it goes on.
_SAY_EVERY_S = 10.0
_WHO = "sluice demo"

Seen = Mapping[str, Any]


def roll_out(out: Console, running: RunningSession, sample: FlightSample, trial: DemoTrial) -> bool:
    """Whether it was promoted; a pause, which nobody is there to end, ends by an abort.

    Raises:
        CommandFailed: the session does not answer.
    """
    out.print(f"\nversion {trial.version} is to take over from version {STABLE}: {trial.about}", soft_wrap=True)
    passengers = Passengers(gateway_url(running), sample)
    passengers.start()
    out.print(f"{RATE} passengers a second ask about real flights\n")
    try:
        control = _control(running)
        seen = _watched(out, control, _begun(control, trial), passengers)
        _tell_the_end(out, seen, passengers)
    finally:
        passengers.stop()
    return bool(seen["phase"] == "promoted")


def _control(running: RunningSession) -> ControlClient:
    client = ControlClient(control_url(running), Path(running.token_file).read_text(encoding="utf-8").strip())
    until = time.monotonic() + _CONTROL_WITHIN_S
    while True:
        try:
            client.get("/rollouts")
        except CommandFailed:
            # The control app starts after the first prediction.
            if time.monotonic() >= until:
                raise
            time.sleep(_LOOK_EVERY_S / 4)
        else:
            return client


def _begun(control: ControlClient, trial: DemoTrial) -> str:
    body = {"canary": trial.version, "plan": trial.plan(), "sticky": True, "dry_run": False, "by": _WHO}
    return str(control.post(f"/models/{MODEL}/rollouts", {}, body)["id"])


def _watched(out: Console, control: ControlClient, rollout_id: str, passengers: Passengers) -> Seen:
    """Until it is over, or waits for a person; then it is aborted."""
    screen = Live(console=out, auto_refresh=False, transient=True) if out.is_terminal else None
    before: tuple[object, ...] = ()
    said_at = 0.0
    with screen or nullcontext():
        while True:
            seen: Seen = control.get(f"/rollouts/{rollout_id}")
            now = seen["phase"], seen["step"]
            if now != before or (screen is None and time.monotonic() >= said_at + _SAY_EVERY_S):
                out.print(line(seen), soft_wrap=True)
                before, said_at = now, time.monotonic()
            if seen["over"]:
                return seen
            if seen["phase"] == "paused":
                out.print("a paused rollout waits for a person; nobody is here, so it is aborted", soft_wrap=True)
                control.post(f"/rollouts/{rollout_id}:abort", {"by": _WHO})
                return {**control.get(f"/rollouts/{rollout_id}"), "gates": seen["gates"]}
            if screen is not None:
                lines = map(Text, tree(seen, judged_by=False))
                screen.update(Group(Text(), *lines, Text(), Text(_traffic(passengers))), refresh=True)
            time.sleep(_LOOK_EVERY_S)


def line(seen: Seen) -> Text:
    """When it was looked at, where it stands, and why."""
    line = Text().append(time.strftime("%H:%M:%S  "), style="dim")
    words = str(seen["phase"]).replace("_", " ")
    if seen["phase"] == "step":
        words = f"step {seen['step'] + 1} of {len(seen['steps'])}"
    line.append(f"{words}, {seen['weight_percent']:g} % to version {seen['canary']}", style="bold")
    return line.append(f": {_why(seen)}")


def _why(seen: Seen) -> str:
    if seen["phase"] != "step":
        return str(seen["sentence"])
    # What was said last is still from before it began.
    return "from now on both are compared" if seen["reason"] == "measuring" else str(seen["said"])


def _traffic(passengers: Passengers) -> str:
    by_version, errors = passengers.told()
    answered = ", ".join(f"{count:,} by version {version}" for version, count in sorted(by_version.items()))
    return f"passengers: {answered}; {errors:,} errors"


def _tell_the_end(out: Console, seen: Seen, passengers: Passengers) -> None:
    out.print()
    for sentence in explained(seen):
        out.print(f"  {sentence}", soft_wrap=True, markup=False)
    out.print(f"\n{_traffic(passengers)}", soft_wrap=True)
    # The end is stored before it is in force.
    time.sleep(_IN_FORCE_WITHIN_S)
    before, _ = passengers.told()
    time.sleep(_AFTERWARDS_S)
    after, errors = passengers.told()
    now = ", ".join(f"version {version}" for version, count in sorted(after.items()) if count > before.get(version, 0))
    out.print(f"a moment later all are answered by {now}; {errors:,} errors", soft_wrap=True)
