"""Where a running session is found by its port: one small file per session in a directory of this user."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from serving.processes.session_members import started_at


@dataclass(frozen=True, slots=True)
class RunningSession:
    """`generation` grows with each finished rolling restart; `started` tells a reused process id apart.

    Reloads have numbers: `asked` is that of the last one that was asked for, `answered` of the last one that is over,
    and `refused` of the last one that was refused, for what `refusal` says.
    """

    session: str
    pid: int
    started: str
    run_dir: str
    engine: str
    http_host: str
    http_port: int
    metrics_host: str
    metrics_port: int | None
    grpc_host: str = "127.0.0.1"
    grpc_port: int | None = None
    control_host: str = "127.0.0.1"
    control_port: int | None = None
    token_file: str = ""
    generation: int = 1
    ready: bool = False
    asked: int = 0
    answered: int = 0
    refused: int = 0
    refusal: str = ""

    def alive(self) -> bool:
        """The supervisor that wrote this still runs."""
        return started_at(self.pid) == self.started


def directory() -> Path:
    """The user's own runtime directory, or one beside the run directories."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and Path(runtime).is_dir():
        return Path(runtime) / "sluice"
    return Path(tempfile.gettempdir()) / f"sluice-{os.getuid()}"


def write(running: RunningSession) -> Path:
    """Put the session's file in place at once, never half written.

    Raises:
        OSError: the directory cannot be made, or belongs to somebody else.
    """
    path = directory() / f"{running.http_port}.json"
    for _ in range(3):
        path.parent.mkdir(mode=0o700, exist_ok=True)
        if path.parent.stat().st_uid != os.getuid():
            raise PermissionError(
                f"{path.parent} belongs to somebody else; set XDG_RUNTIME_DIR to a directory of yours"
            )
        # A session that ends just now removes the directory when it was the last one.
        with contextlib.suppress(FileNotFoundError):
            half = path.with_suffix(f".{running.session}")
            half.write_text(json.dumps(asdict(running)))
            half.replace(path)
            return path
    raise FileNotFoundError(f"{path.parent} cannot be written")


def forget(session: str) -> None:
    """Take the session's file away, a half-written one too, and the directory with the last one."""
    if not _ours():
        return
    for path in directory().iterdir():
        running = _read(path)
        if path.suffix == f".{session}" or (running is not None and running.session == session):
            path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        directory().rmdir()


def sessions() -> list[RunningSession]:
    """Every session of this user that runs now, lowest port first."""
    found = [_read(path) for path in directory().glob("*.json")] if _ours() else []
    return sorted((one for one in found if one is not None and one.alive()), key=lambda one: one.http_port)


def find(http_port: int) -> RunningSession | None:
    """The session that serves this port."""
    return next((one for one in sessions() if one.http_port == http_port), None)


def _read(path: Path) -> RunningSession | None:
    try:
        return RunningSession(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _ours() -> bool:
    """What somebody else put there could name any process of ours as a supervisor."""
    try:
        return directory().stat().st_uid == os.getuid()
    except OSError:
        return False
