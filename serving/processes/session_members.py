"""Finds and ends the processes of a session, also those that others started and that outlived them.

Two marks, since either can be lost: the environment variable SLUICE_SESSION, inherited by everything that is started,
which programs that set their own title overwrite (Ray's agents and Valkey do); and the kernel's session id, which a
process can leave.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Collection, Mapping
from pathlib import Path

SESSION_VARIABLE = "SLUICE_SESSION"

_PROC = Path("/proc")


# Process ids of the leaders of kernel sessions, each with its `started_at`.
Leaders = Mapping[int, str]


def members(session: str, leaders: Leaders) -> set[int]:
    """Process ids that carry the session's mark, or live in a kernel session that one of `leaders` began."""
    mark = f"{SESSION_VARIABLE}={session}".encode()
    pids = _pids()
    marked = {pid for pid in pids if _marked(pid, mark)}
    # A leader's number may belong to a stranger by now, who then began at another time.
    # Zero is nobody's number: it is the kernel session of everything that was started outside of this container.
    begun = {leader for leader, started in leaders.items() if leader > 0 and started_at(leader) in ("", started)}
    begun |= {sid for pid in marked if (sid := _kernel_session(pid)) in marked}
    grouped = {pid for pid in pids if _kernel_session(pid) in begun} if begun else set()
    return (marked | grouped) - {os.getpid()}


def in_kernel_session(leader: int) -> set[int]:
    """Process ids of those that live in the kernel session that `leader` began, without this process."""
    return {pid for pid in _pids() if _kernel_session(pid) == leader} - {os.getpid()}


def end_members(session: str, leaders: Leaders, *, patience_s: float = 3.0) -> int:
    """SIGTERM to all, SIGKILL after `patience_s` to those left; returns how many there were at first."""
    found = members(session, leaders)
    first = len(found)
    _signal_all(found, signal.SIGTERM)
    deadline = time.monotonic() + patience_s
    while found and time.monotonic() < deadline:
        time.sleep(0.05)
        found = members(session, leaders)
    # Killed until none is left: one that was being started while we looked must not get away.
    while found and time.monotonic() < deadline + 2 * patience_s + 1:
        _signal_all(found, signal.SIGKILL)
        time.sleep(0.02)
        found = members(session, leaders)
    return first


def started_at(pid: int) -> str:
    """When the process began, in the kernel's words, so that a reused number is told apart; empty if it has ended."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return ""
    # The name in parentheses may hold blanks, so fields are counted after it: 3 is the state, 22 the start (proc(5)).
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[19]


def _pids() -> list[int]:
    return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]


def _marked(pid: int, mark: bytes) -> bool:
    try:
        environment = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return False
    return mark in environment.split(b"\0")


def _kernel_session(pid: int) -> int:
    try:
        return os.getsid(pid) if started_at(pid) else 0
    except OSError:
        return 0


def _signal_all(pids: Collection[int], which: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, which)
