"""The same rules in a hurry, for whoever wants to see an alert and has no hours: each window and each `for` divided.

`python -m deployments.monitoring.hastened FOLDER` writes `rules.yaml` and a `prometheus.yml` that scrapes every second.
Expressions, thresholds and labels are those of `rules.yaml`; nothing but lengths of time is another.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

RULES = Path(__file__).with_name("rules.yaml")
BY = 60.0
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
# A rate needs samples, of which there is one a second.
_WINDOW_S = 5
_FOR_S = 2


def hastened(text: str, by: float = BY) -> str:
    """Every window and every `for` divided by so much; a window has five scrapes at least, a `for` two."""

    def shorter(found: re.Match[str]) -> str:
        shortest_s = _WINDOW_S if found[1] == "[" else _FOR_S
        return f"{found[1]}{max(shortest_s, round(int(found[2]) * _SECONDS[found[3]] / by))}s"

    return re.sub(r"(\[|for: )(\d+)([smhd])\b", shorter, text)


def write(folder: Path, metrics: str, by: float = BY) -> Path:
    """Both files of a Prometheus that scrapes `metrics` (host:port); the path of its configuration is returned."""
    folder.mkdir(parents=True, exist_ok=True)
    # As they are: a Prometheus beside one that hurries.
    rules, every = (RULES.read_text(), "15s") if by == 1 else (hastened(RULES.read_text(), by), "1s")
    (folder / "rules.yaml").write_text(rules)
    config = folder / "prometheus.yml"
    settings = {
        "global": {"scrape_interval": every, "evaluation_interval": every},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [{"job_name": "sluice", "static_configs": [{"targets": [metrics]}]}],
    }
    # JSON is YAML.
    config.write_text(json.dumps(settings, indent=2))
    return config


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m deployments.monitoring.hastened", description=__doc__)
    parser.add_argument("folder", type=Path, help="where to write both files")
    parser.add_argument("--by", type=float, default=BY, help="how many times shorter (60: an hour is a minute)")
    parser.add_argument("--metrics", default="127.0.0.1:8082", help="host and port of a session's metrics")
    given = parser.parse_args()
    if not given.by >= 1:
        parser.error(f"--by {given.by:g} would make windows longer; give 1 or more")
    config = write(given.folder, given.metrics, given.by)
    sys.stdout.write(f"prometheus --config.file={config} --query.lookback-delta=5s\n")


if __name__ == "__main__":
    main()
