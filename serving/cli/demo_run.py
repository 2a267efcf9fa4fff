"""Runs the demo: a session in this process, 200 flights, and then a stop, live figures until Ctrl-C, or a rollout."""

from __future__ import annotations

import asyncio
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from deployments.flights.sample import CONFIGURATION, MODELS, Flight, load_test_flights
from serving.cli.canary_choice import Canary
from serving.cli.demo_canary import roll_out
from serving.cli.demo_features import load_tables, looked_up, store_of_session
from serving.cli.demo_flights import flights_table, manifest, predictions, totals
from serving.cli.demo_live import live
from serving.cli.demo_trials import TRIALS, write_configuration, write_repository
from serving.cli.failure import CommandFailed, ExitCode
from serving.cli.gateway_client import GatewayClient
from serving.cli.output import console
from serving.cli.session_models import planned
from serving.cli.session_options import SessionOptions
from serving.cli.session_run import check_engine, supervised
from serving.cli.session_screen import SessionScreen, gateway_url
from serving.config.settings import Settings
from serving.processes.running_sessions import RunningSession
from serving.processes.supervisor import Supervisor

FLIGHTS = 200
_HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """Ports are None where the caller named none: then a free one will do."""

    once: bool
    engine: str
    workers: int
    http_port: int | None
    metrics_port: int | None
    canary: Canary | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """Where the demo prints, by which settings the session runs, and what hears of its end."""

    out: Console
    settings: Settings
    screen: SessionScreen


def run_demo(options: DemoOptions) -> None:
    """Returns after a clean stop.

    Raises:
        CommandFailed: the engine is not installed, the gateway did not answer, or a version was not promoted.
        ConfigInvalid: a port that the caller named is taken.
    """
    with _files(options.canary) as (config, models):
        _run(options, config, models)


def _run(options: DemoOptions, config: Path, models: Path) -> None:
    out = console()
    session = SessionOptions(
        config=config,
        models=models,
        engine=options.engine,
        workers=options.workers,
        http_port=_port(out, "--http-port", options.http_port, 8080),
        grpc_port=_port(out, "--grpc-port", None, 8081),
        metrics_port=_port(out, "--metrics-port", options.metrics_port, 8082),
        control_port=0,
    )
    settings = session.effective().settings
    check_engine(settings)
    out.print(f"starting the flights example, engine {options.engine}")
    session_plan = planned(settings)
    if options.canary is not None:
        session_plan = replace(session_plan, plan=replace(session_plan.plan, rollouts=True))
    supervisor, screen = supervised(session_plan, out)
    promoted = asyncio.run(_session(supervisor, Shown(out, settings, screen), options))
    if screen.stopping_at is not None:
        out.print(f"stopped cleanly in {time.monotonic() - screen.stopping_at:.1f} s")
    if not promoted:
        raise CommandFailed("the version was not promoted", ExitCode.NOT_PROMOTED)


@contextmanager
def _files(canary: Canary | None) -> Iterator[tuple[Path, Path]]:
    """Configuration and repository; those of a rollout are made for it."""
    if canary is None:
        yield CONFIGURATION, MODELS
        return
    with tempfile.TemporaryDirectory(prefix="flights-") as folder:
        yield write_configuration(Path(folder)), write_repository(Path(folder), TRIALS[canary].version)


async def _session(supervisor: Supervisor, shown: Shown, options: DemoOptions) -> bool:
    """False where a version was not promoted."""
    serving = asyncio.create_task(supervisor.run())
    ready = asyncio.create_task(supervisor.ready.wait())
    await asyncio.wait({serving, ready}, return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    try:
        if supervisor.running is not None and not serving.done():
            if options.canary is not None:
                return await asyncio.to_thread(_roll_out, shown, supervisor.running, options.canary)
            await asyncio.to_thread(_show, shown, supervisor.running)
            if not options.once:
                await _until_stopped(serving, shown.out, supervisor.running)
    except CommandFailed:
        # Ctrl-C while flights were asked for: that they were not answered any more is what was wanted.
        if shown.screen.stopping_at is None:
            raise
    finally:
        supervisor.ask_to_stop()
        await serving
    return True


async def _until_stopped(serving: asyncio.Task[None], out: Console, running: RunningSession) -> None:
    over = threading.Event()
    showing = asyncio.create_task(asyncio.to_thread(live, out, running, over))
    await asyncio.wait({serving, showing}, return_when=asyncio.FIRST_COMPLETED)
    over.set()
    await showing


def _load(shown: Shown, running: RunningSession, flight: Flight) -> Table:
    """The tables of features; what they have of one flight."""
    with store_of_session(shown.settings, running) as store:
        began = time.monotonic()
        loaded = ", ".join(f"{rows:,} of {view}" for view, rows in load_tables(store, shown.settings).items())
        shown.out.print(f"loaded rows of features: {loaded}, in {time.monotonic() - began:.2f} s", soft_wrap=True)
        return looked_up(store, shown.settings, flight)


def _show(shown: Shown, running: RunningSession) -> None:
    out, sample = shown.out, load_test_flights()
    found = _load(shown, running, sample.flights[0])
    client = GatewayClient(gateway_url(running))
    predicted = list(predictions(client, sample, FLIGHTS))
    client.close()
    # Not before the flights are answered: with it comes onnxruntime, for which the first prediction would wait.
    from serving.cli.demo_offline import chances_offline

    offline = chances_offline(sample, [one.version for one in predicted])
    threshold = manifest().threshold or 0.5
    out.print(f"\nflight {sample.flights[0].name} by its ids", soft_wrap=True)
    out.print(found)
    out.print()
    out.print(flights_table(predicted, threshold, out.width))
    out.print()
    for name, value in totals(predicted, offline, threshold):
        out.print(Text(f"  {name:<10}", style="bold") + Text(value), soft_wrap=True)
    out.print()


def _roll_out(shown: Shown, running: RunningSession, canary: Canary) -> bool:
    sample = load_test_flights()
    _load(shown, running, sample.flights[0])
    return roll_out(shown.out, running, sample, TRIALS[canary])


def _port(out: Console, flag: str, named: int | None, usual: int) -> int:
    """The port that was named, else the usual one, else any free one, said so."""
    if named is not None:
        return named
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, usual))
        except OSError:
            probe.bind((_HOST, 0))
            free = int(probe.getsockname()[1])
            out.print(f"port {usual} is taken; using {free} ({flag} names another)")
            return free
    return usual
