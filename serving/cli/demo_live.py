"""Keeps asking for flights, a little, and shows once a second how that goes."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.live import Live
from rich.table import Table

from deployments.flights.sample import load_test_flights
from serving.cli.demo_flights import ask_for
from serving.cli.failure import CommandFailed
from serving.cli.gateway_client import GatewayClient
from serving.cli.live_figures import Buckets, Figures, between, scrape
from serving.cli.output import table
from serving.cli.session_screen import gateway_url, metrics_url
from serving.processes.running_sessions import RunningSession

_CALLERS = 4
_PAUSE_S = 0.02
_EVERY_S = 1.0
# Scrapes that a figure spans.
_WINDOW = 6
# Where lines cannot be redrawn, a line every ten seconds is enough.
_LINES_EVERY_S = 10.0


def live(out: Console, running: RunningSession, over: threading.Event) -> None:
    """Returns when `over` is set."""
    url, metrics = gateway_url(running), metrics_url(running)
    callers = [threading.Thread(target=_call, args=(url, number, over), daemon=True) for number in range(_CALLERS)]
    for caller in callers:
        caller.start()
    out.print(f"{_CALLERS} callers go on asking for flights; figures from {metrics}; Ctrl-C stops", soft_wrap=True)
    if out.is_terminal:
        with Live(console=out, auto_refresh=False, transient=True) as display:
            _watch(metrics, over, _EVERY_S, lambda figures: display.update(_figures(figures), refresh=True))
    else:
        _watch(metrics, over, _LINES_EVERY_S, lambda figures: out.print(_lines(figures)))
    for caller in callers:
        caller.join()


def _watch(metrics: str, over: threading.Event, every_s: float, show: Callable[[Sequence[Figures]], None]) -> None:
    # Workers report once a second, so that between two scrapes there may be none or two reports.
    window: deque[tuple[float, Buckets]] = deque(maxlen=_WINDOW)
    while not over.wait(every_s):
        try:
            window.append((time.monotonic(), scrape(metrics)))
        except OSError:
            # The session tells by itself why its metrics are away.
            continue
        (began, before), (ended, after) = window[0], window[-1]
        if ended > began:
            show(between(before, after, ended - began))


def _call(url: str, number: int, over: threading.Event) -> None:
    client = GatewayClient(url)
    sample = load_test_flights()
    index = number
    while not over.wait(_PAUSE_S):
        try:
            ask_for(client, sample, index % len(sample.flights))
        except CommandFailed:
            # A part of the session is being restarted, which the session says.
            over.wait(_EVERY_S)
        index += _CALLERS
    client.close()


def _figures(figures: Sequence[Figures]) -> Table:
    rows = [(f"{one.requests_s:.0f}", _ms(one.p50_ms), _ms(one.p99_ms), one.version) for one in figures]
    return table(["requests/s", "p50", "p99", "version"], rows, right=["requests/s", "p50", "p99"])


def _lines(figures: Sequence[Figures]) -> str:
    told = [
        f"version {one.version}: {one.requests_s:.0f} requests/s, p50 {_ms(one.p50_ms)}, p99 {_ms(one.p99_ms)}"
        for one in figures
    ]
    return "\n".join(told) or "no requests"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} ms"
