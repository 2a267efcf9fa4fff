"""Runs a session in this process until it is told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib.util import find_spec

from rich.console import Console

from serving.cli.failure import wrong_usage
from serving.cli.output import console
from serving.cli.planned_again import PlannedAgain
from serving.cli.process_age import process_age_s
from serving.cli.session_models import Planned, planned
from serving.cli.session_options import SessionOptions
from serving.cli.session_screen import SessionScreen, say_who_reaches_it
from serving.config.settings import Settings
from serving.processes.session_plan import SessionPlan
from serving.processes.supervisor import Supervisor
from serving.telemetry.log import configure_as_told


def serve(options: SessionOptions) -> None:
    """Returns when the session has stopped cleanly.

    Raises:
        ConfigInvalid: the configuration cannot be used, or a port is taken.
        CommandFailed: there is nothing to serve, or the engine is not installed.
    """
    settings = options.effective().settings
    check_engine(settings)
    session = planned(settings)
    out = console()
    for_people = settings.logs.format == "text"
    if for_people:
        say_who_reaches_it(out, settings)
    again = PlannedAgain(options, session)
    supervisor, _ = supervised(session, out, again)
    count = len(session.plan.models)
    if for_people:
        out.print(f"starting {count} {'version' if count == 1 else 'versions'}, engine {session.plan.engine}")
    # What the supervisor itself logs, as its parts do.
    configure_as_told(session.plan.config.get("logs") or {})
    asyncio.run(supervisor.run())


def supervised(
    session: Planned, out: Console, replan: Callable[[], SessionPlan] | None = None
) -> tuple[Supervisor, SessionScreen]:
    """A supervisor that tells the screen what happens, and plans again by `replan`; nothing is started yet."""
    screen = SessionScreen(out, session.plan, session.problems, process_age_s)
    supervisor = Supervisor(session.plan, lambda event: screen.emit(event, supervisor.running), replan)
    return supervisor, screen


def check_engine(settings: Settings) -> None:
    """Say at once what is not installed.

    Raises:
        CommandFailed: names what to install, and the way without it.
    """
    if settings.engine.kind == "ray" and find_spec("ray") is None:
        raise wrong_usage(
            "the ray engine needs Ray: pip install 'sluice-gateway[ray,embedded]'; or take --engine in-process"
        )
