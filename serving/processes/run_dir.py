"""The private directory of a session, who owns it, and the sweep of those whose owner was killed with its guardian."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from serving.processes import running_sessions
from serving.processes.session_members import end_members, started_at

_PREFIX = "sluice-"
_OWNER = "owner.json"


@dataclass(frozen=True, slots=True)
class Owner:
    """The supervisor, such that a reused process id, another container or a reboot is told apart."""

    session: str
    pid: int
    started: str
    machine: str

    def dead(self) -> bool:
        """True only if it certainly lives no more; a process of another container cannot be judged from here."""
        if self.machine != this_machine():
            return False
        return started_at(self.pid) != self.started


def this_machine() -> str:
    """Boot and process namespace: process ids mean the same only where both are equal."""
    facts = []
    with contextlib.suppress(OSError):
        facts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        facts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(facts)


def create(session: str) -> Path:
    """A new directory that only this user can enter, with a short path: a unix socket's has room for 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix=_PREFIX))
    (path / "logs").mkdir()
    owner = {"session": session, "pid": os.getpid(), "started": started_at(os.getpid()), "machine": this_machine()}
    (path / _OWNER).write_text(json.dumps(owner))
    return path


def remove(path: Path) -> None:
    """Everything in it; again if somebody who was just dying wrote there meanwhile."""
    for _ in range(5):
        shutil.rmtree(path, ignore_errors=True)
        if not path.exists():
            return


def sweep() -> list[Path]:
    """End and remove what dead sessions of this user left behind; returns their directories."""
    swept = []
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        owner = _owner(path)
        if owner is not None and owner.dead():
            end_members(owner.session, {})
            remove(path)
            running_sessions.forget(owner.session)
            swept.append(path)
    return swept


def _owner(path: Path) -> Owner | None:
    try:
        # Another user's directory may hold anything, and its processes are not ours to end.
        if path.is_symlink() or path.stat().st_uid != os.getuid():
            return None
        return Owner(**json.loads((path / _OWNER).read_text()))
    except (OSError, ValueError, TypeError):
        return None
