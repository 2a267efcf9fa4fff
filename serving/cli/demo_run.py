"""Runs the demo: a session in this process, 200 flights, then either a clean stop or live figures until Ctrl-C."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from deployments.flights.sample import CONFIGURATION, MODELS, load_test_flights
from serving.cli.demo_features import load_tables, looked_up, store_of_session
from serving.cli.demo_flights import flights_table, manifest, predictions, totals
from serving.cli.demo_live import live
from serving.cli.failure import CommandFailed
from serving.cli.gateway_client import GatewayClient
from serving.cli.output import console
from serving.cli.session_models import planned
from serving.cli.session_options import SessionOptions
from serving.cli.session_run import check_engine, supervised
from serving.cli.session_screen import gateway_url
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


@dataclass(frozen=True, slots=True)
class Shown:
    """Where the demo prints, and by which settings the session runs."""

    out: Console
    settings: Settings


def run_demo(options: DemoOptions) -> None:
    """Returns after a clean stop.

    Raises:
        CommandFailed: the engine is not installed, or the gateway did not answer.
        ConfigInvalid: a port that the caller named is taken.
    """
    out = console()
    session = SessionOptions(
        config=CONFIGURATION,
        models=MODELS,
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
    supervisor, screen = supervised(planned(settings), out)
    try:
        asyncio.run(_session(supervisor, Shown(out, settings), once=options.once))
        if screen.stopping_at is not None:
            out.print(f"stopped cleanly in {time.monotonic() - screen.stopping_at:.1f} s")
    except CommandFailed:
        # Ctrl-C while flights were asked for: that they were not answered any more is what was wanted.
        if screen.stopping_at is None:
            raise


async def _session(supervisor: Supervisor, shown: Shown, *, once: bool) -> None:
    serving = asyncio.create_task(supervisor.run())
    ready = asyncio.create_task(supervisor.ready.wait())
    await asyncio.wait({serving, ready}, return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    try:
        if supervisor.running is not None and not serving.done():
            await asyncio.to_thread(_show, shown, supervisor.running)
            if not once:
                await _until_stopped(serving, shown.out, supervisor.running)
    finally:
        supervisor.ask_to_stop()
        await serving


async def _until_stopped(serving: asyncio.Task[None], out: Console, running: RunningSession) -> None:
    over = threading.Event()
    showing = asyncio.create_task(asyncio.to_thread(live, out, running, over))
    await asyncio.wait({serving, showing}, return_when=asyncio.FIRST_COMPLETED)
    over.set()
    await showing


def _show(shown: Shown, running: RunningSession) -> None:
    out, settings, sample = shown.out, shown.settings, load_test_flights()
    with store_of_session(settings, running) as store:
        began = time.monotonic()
        loaded = ", ".join(f"{rows:,} of {view}" for view, rows in load_tables(store, settings).items())
        out.print(f"loaded rows of features: {loaded}, in {time.monotonic() - began:.2f} s", soft_wrap=True)
        found = looked_up(store, settings, sample.flights[0])
    client = GatewayClient(gateway_url(running))
    predicted = list(predictions(client, sample, FLIGHTS))
    client.close()
    threshold = manifest().threshold or 0.5
    out.print(f"\nflight {sample.flights[0].name} by its ids", soft_wrap=True)
    out.print(found)
    out.print()
    out.print(flights_table(predicted, threshold, out.width))
    out.print()
    for name, value in totals(predicted, threshold):
        out.print(Text(f"  {name:<10}", style="bold") + Text(value), soft_wrap=True)
    out.print()


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
