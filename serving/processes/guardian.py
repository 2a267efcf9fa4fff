"""`python -m serving.processes.guardian SESSION RUN_DIR`: ends a session when its supervisor is gone, however it went.

Reads from standard input the leaders of the kernel sessions that the supervisor begins (process id and start time, one
a line), and at the end of file ends every process of the session and removes its directory and its file.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from serving.processes import run_dir, running_sessions
from serving.processes.session_members import end_members


def main(session: str, directory: Path) -> None:
    """Outlive everything that is meant for the supervisor, then clean up."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    leaders = _leaders_until_end_of_file()
    end_members(session, leaders)
    run_dir.remove(directory)
    running_sessions.forget(session)


def _leaders_until_end_of_file() -> dict[int, str]:
    words = (line.split() for line in sys.stdin)
    return {int(leader): started for leader, started in words}


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
