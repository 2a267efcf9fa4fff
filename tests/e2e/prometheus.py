"""A real Prometheus beside a session, with a clock of its own: a minute of the rules is a second here."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from tests.integration.redis_process import free_ports

RULES = Path(__file__).parents[2] / "deployments" / "monitoring" / "rules.yaml"
BINARY = shutil.which("prometheus")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def hastened(text: str) -> str:
    """Every window and every `for` a sixtieth as long; none below five scrapes."""

    def shorter(found: re.Match[str]) -> str:
        return f"{found[1]}{max(5, int(found[2]) * _SECONDS[found[3]] // 60)}s"

    return re.sub(r"(\[|for: )(\d+)([smhd])\b", shorter, text)


class Prometheus:
    """Scrapes once a second, looks at its rules as often; ended by `close`."""

    def __init__(self, folder: Path, metrics_port: int) -> None:
        (self.port,) = free_ports(1)
        (folder / "rules.yaml").write_text(hastened(RULES.read_text()))
        targets = [{"targets": [f"127.0.0.1:{metrics_port}"]}]
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [{"job_name": "sluice", "static_configs": targets}],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    str(BINARY),
                    f"--config.file={folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                    "--query.lookback-delta=5s",
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
