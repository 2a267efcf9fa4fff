"""A session with a configuration file that a test writes again, and the commands that act on it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.e2e.doubling import save_models
from tests.e2e.http_client import Reply
from tests.e2e.sluice_up import PROGRAM, SluiceUp, environment


class Configured:
    """`doubler` and `divides`; `session` is not ready yet."""

    def __init__(self, folder: Path, engine: str = "in-process", **sections: object) -> None:
        self.models = save_models(folder / "models")
        self._file = folder / "sluice.yaml"
        self.write(**sections)
        self.session = SluiceUp("--models", str(self.models), "--config", str(self._file), engine=engine)

    def write(self, **sections: object) -> None:
        """Another configuration; JSON is YAML."""
        self._file.write_text(json.dumps(sections))

    def sluice(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command of the session's own."""
        session = self.session
        run_dir = str(session.folder / "run")
        return subprocess.run(
            [*PROGRAM, *words, "--http-port", str(session.port)],
            env=environment(TMPDIR=str(session.folder / "tmp"), XDG_RUNTIME_DIR=run_dir),
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )

    def done(self, *words: str) -> None:
        """The same, and it must succeed."""
        told = self.sluice(*words)
        assert told.returncode == 0, told.stderr

    def ask(self, method: str, path: str, body: bytes = b"") -> Reply:
        """One request to the port of predictions."""
        with self.session.connect() as connection:
            return connection.request(method, path, body)
