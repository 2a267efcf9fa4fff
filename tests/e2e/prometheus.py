"""A real Prometheus beside a session, in a hurry: a minute of the rules is a second here, unless said otherwise."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from deployments.monitoring.hastened import BY, write
from tests.integration.redis_process import free_ports

BINARY = shutil.which("prometheus")


class Prometheus:
    """Scrapes once a second, looks at its rules as often; with `by=1` as one in production. Ended by `close`."""

    def __init__(self, folder: Path, metrics_port: int, by: float = BY) -> None:
        (self.port,) = free_ports(1)
        self.by = by
        config = write(folder, f"127.0.0.1:{metrics_port}", by)
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    str(BINARY),
                    f"--config.file={config}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                    *(["--query.lookback-delta=5s"] if by > 1 else []),
                ],
                stdout=log,
                stderr=log,
            )

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """The series of an expression's answer."""
        asked = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/query?{asked}", timeout=10) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return found

    def firing(self) -> set[str]:
        """Names of the alerts that fire now."""
        return {one["metric"]["alertname"] for one in self.ask('ALERTS{alertstate="firing"}')}

    def until(self, names: set[str], *, fire: bool, within_s: float = 60) -> None:
        """Return when all of them fire, or none does."""
        ends = time.monotonic() + within_s
        while (names <= self._known()) != fire or (not fire and names & self._known()):
            assert time.monotonic() < ends, f"{names} {'never fired' if fire else 'never cleared'}: {self._known()}"
            time.sleep(0.5)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(30)

    def _known(self) -> set[str]:
        try:
            return self.firing()
        except OSError:
            return set()
