"""The session that something is done to, and its processes by what they do."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable

import psutil

from serving.processes import running_sessions
from serving.processes.running_sessions import RunningSession
from serving.processes.session_members import members

REPLICA = "ray::ServeReplica:"
WORKER = "serving.processes.gateway_worker"
_STOPS = (signal.SIGTERM, signal.SIGINT)
# A socket's name is in the title that Valkey gives itself.
FEATURES, CONTROL = "features.sock", "control.sock"


class NotDone(Exception):
    """There is nothing of that kind to do it to."""


def find(http_port: int) -> RunningSession:
    """The session of this user that serves the port.

    Raises:
        NotDone: there is none.
    """
    running = running_sessions.find(http_port)
    if running is None:
        raise NotDone(f"no session of yours serves port {http_port}")
    return running


def parts(session: RunningSession, words: str) -> list[psutil.Process]:
    """Processes of the session whose command line has these words, oldest first.

    Raises:
        NotDone: there is none.
    """
    found = []
    # Valkey overwrites the mark that members are known by, and is known by its parent.
    born = {process.pid for process in psutil.Process(session.pid).children(recursive=True)}
    for pid in sorted(born | members(session.session, {session.pid: session.started})):
        try:
            process = psutil.Process(pid)
            if words in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    if not found:
        raise NotDone(f"the session on port {session.http_port} has no process of {words!r}")
    return found


def valkey(session: RunningSession, which: str) -> psutil.Process:
    """The embedded server of the features or of the control state.

    Raises:
        NotDone: it is not embedded.
    """
    servers = [
        one
        for one in parts(session, {"features": FEATURES, "control": CONTROL}[which])
        if "valkey" in one.name() or "redis" in one.name()
    ]
    if not servers:
        raise NotDone(f"the {which} Redis of this session is not its own")
    return servers[0]


def options(about: str) -> argparse.ArgumentParser:
    """Every program has the port of the session."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--http-port", type=int, default=8080, help="of the session (8080)")
    return parser


def number(low: float, high: float) -> Callable[[str], float]:
    """The type of an option that is a number from `low` to `high`."""

    def read(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low:g} and {high:g}")
        return value

    read.__name__ = "number"
    return read


def stop_once(*_: object) -> None:
    """What is begun is undone, as by Ctrl-C, and what undoes it is not stopped in its turn.

    A terminal's Ctrl-C comes to a load test and to its programs, and the load test then stops these itself.
    """
    for each in _STOPS:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def carry_out(act: Callable[[], str]) -> None:
    """Say what was done; exit code 1 and the reason where nothing was, or where it was stopped."""
    # A Valkey that stands still must not do so for ever.
    for each in _STOPS:
        signal.signal(each, stop_once)
    try:
        sys.stdout.write(f"{act()}\n")
    except KeyboardInterrupt:
        sys.exit("not done: stopped before its end")
    except (NotDone, psutil.Error) as error:
        sys.exit(f"not done: {error}")
