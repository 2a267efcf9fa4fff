"""What a session shows: progress while it starts, one screen of where everything is, then one line per event."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from rich.console import Console
from rich.text import Text

from serving.cli.output import table
from serving.config.settings import Settings
from serving.processes.events import Event
from serving.processes.running_sessions import RunningSession
from serving.processes.session_plan import SessionPlan
from serving.registry.repository import Problem
from serving.telemetry.log import log_line, safe, stamp

# A part's first start says nothing that the screen does not say better, also where it is told after the screen.
_FIRST_START = frozenset({"starting", "started"})
_STYLES = {
    "crashed": "red",
    "refused": "red",
    "roll_failed": "red",
    "reload_refused": "red",
    "trouble": "yellow",
    "restarting": "yellow",
    "waiting": "yellow",
    "unproven": "yellow",
}
# What machines read where people see a colour.
_LEVELS = {"red": "error", "yellow": "warning"}


class SessionScreen:
    """Hears the supervisor's events; a refused version is listed with its reason, also when it comes late."""

    def __init__(
        self, out: Console, plan: SessionPlan, problems: Iterable[Problem], age_s: Callable[[], float]
    ) -> None:
        self._out = out
        self._age_s = age_s
        self._plan = plan
        self._as_json = (plan.config.get("logs") or {}).get("format") == "json"
        self._refused = {problem.name: problem.error.message for problem in problems}
        self._ready = self._begun = False
        self._up: set[str] = set()
        self.stopping_at: float | None = None

    def emit(self, event: Event, running: RunningSession | None) -> None:
        """Print what people should know; `running` has the ports once there are any."""
        if event.kind == "stopping":
            self.stopping_at = time.monotonic()
        if self._as_json:
            self._write(event, running)
            return
        if event.kind == "refused":
            self._refused[event.part] = event.text
        if event.kind == "ready" and running is not None and not self._ready:
            self._ready = True
            self._show(running)
        elif event.kind not in _FIRST_START or event.part in self._up:
            self._line(event)
        if event.kind == "started":
            self._up.add(event.part)

    def _write(self, event: Event, running: RunningSession | None) -> None:
        """An event as machines read it; the first of kind `ready` says where everything is."""
        if not self._begun:
            # What was refused when the session was planned, of which people are told by the screen.
            self._begun = True
            for name, why in self._refused.items():
                self._write(Event("refused", name, why), None)
        level = _LEVELS.get(_STYLES.get(event.kind, ""), "info")
        facts: dict[str, object] = {"time": stamp(time.time()), "level": level, "logger": "serving.session"}
        facts |= {"event": event.kind, "part": event.part, "text": event.text, **event.facts}
        if event.kind == "ready" and running is not None and not self._ready:
            self._ready = True
            ports = ("http_port", "grpc_port", "metrics_port", "control_port")
            facts |= {name: getattr(running, name) for name in ports}
        self._out.print(log_line("json", safe(facts)), soft_wrap=True, markup=False, highlight=False, emoji=False)

    def _line(self, event: Event) -> None:
        line = Text(time.strftime("%H:%M:%S  "), style="dim")
        line.append(f"{event.part}: ", style="bold")
        line.append(event.text, style=_STYLES.get(event.kind, ""))
        self._out.print(line, soft_wrap=True)

    def _show(self, running: RunningSession) -> None:
        url = gateway_url(running)
        where = [("predictions", url), ("ready", f"{url}/v2/health/ready")]
        if running.grpc_port is not None:
            where.append(("grpc", grpc_target(running)))
        if running.metrics_port is not None:
            where.append(("metrics", metrics_url(running)))
        if running.control_port is not None:
            where.append(("control", f"{control_url(running)}/docs, token in {running.token_file}"))
        where.append(("engine", f"{running.engine}, gateway workers: {self._plan.workers}"))
        where.append(("first prediction", f"{self._age_s():.2f} s after the command began"))
        self._out.print()
        for name, value in where:
            self._out.print(Text(f"  {name:<17}", style="bold") + Text(value), soft_wrap=True)
        self._out.print()
        self._out.print(table(["model", "version", "", "why"], self._models()))
        self._out.print(Text(f"\n  sluice models show {self._example()} --url {url}"), soft_wrap=True)
        self._out.print(Text(f"  curl -s {url}/v2/models/{self._example()}"), soft_wrap=True)
        self._out.print(Text("  Ctrl-C stops\n", style="dim"))

    def _models(self) -> Iterable[tuple[str, ...]]:
        served = [(f"{one.model}/{one.version}", one) for one in self._plan.models]
        for name, one in served:
            state = "refused" if name in self._refused else "answers by default" if one.default else "by its number"
            yield one.model, str(one.version), state, self._refused.get(name, "")
        planned = {name for name, _ in served}
        for name, why in self._refused.items():
            if name not in planned:
                model, _, version = name.partition("/")
                yield model, version, "refused", why

    def _example(self) -> str:
        return next(
            (one.model for one in self._plan.models if f"{one.model}/{one.version}" not in self._refused), "MODEL"
        )


def say_who_reaches_it(out: Console, settings: Settings) -> None:
    """Addresses that others than this machine reach, before anything starts."""
    for host in sorted({settings.http.host, settings.grpc.host} - {"127.0.0.1", "localhost", "::1"}):
        out.print(Text(f"note: predictions are open to everybody who reaches {host}", style="yellow"))


def gateway_url(running: RunningSession) -> str:
    """Where predictions are, as this machine reaches it."""
    return f"http://{_host(running.http_host)}:{running.http_port}"


def grpc_target(running: RunningSession) -> str:
    """What a gRPC channel is opened to, as this machine reaches it."""
    return f"{_host(running.grpc_host)}:{running.grpc_port}"


def metrics_url(running: RunningSession) -> str:
    """Where a scrape finds the metrics of the session."""
    return f"http://{_host(running.metrics_host)}:{running.metrics_port}/metrics"


def control_url(running: RunningSession) -> str:
    """Where the control API is."""
    return f"http://{_host(running.control_host)}:{running.control_port}"


def _host(host: str) -> str:
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - shown, not bound
    return f"[{reachable}]" if ":" in reachable else reachable
