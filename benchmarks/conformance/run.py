"""`python -m benchmarks.conformance.run`: the conformance suite against Sluice and its peers, into results/conformance.

`--environments DIR` keeps what is installed for the next time; `python -m benchmarks.conformance.page` writes the page.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, cast

from benchmarks.conformance.servers import SERVERS, Place, Running, free_port
from serving.conformance.known_models import write_repository

# As `sluice conformance --json` writes it.
Report = dict[str, Any]

RESULTS = Path(__file__).parents[1] / "results" / "conformance"
_PROGRAM = (sys.executable, "-c", "from serving.cli.main import main; main()")
# Nothing of the machine in what is committed: evidence has paths of installed files.
_SHOWN = 200


def main() -> None:
    """Run each server twice: as it advertises itself, and with every extension tried."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="names with commas between them", default=",".join(SERVERS))
    parser.add_argument("--environments", type=Path)
    given = parser.parse_args()
    RESULTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        repository = root / "models"
        write_repository(repository)
        for name in given.only.split(","):
            folder = root / name
            folder.mkdir()
            place = Place(repository, folder, given.environments or root, free_port(), free_port())
            with SERVERS[name](place) as running:
                advertised = _checked(running, repository, folder)
                tried = _checked(running, repository, folder, "--all")
            _keep(name, running, advertised, tried)


def _checked(running: Running, repository: Path, folder: Path, *more: str) -> Report:
    report = folder / "report.json"
    where = [running.url, "--grpc", running.grpc, "--token", running.token, "--model-repo", str(repository)]
    command = [*_PROGRAM, "conformance", *where, "--json", str(report), *more]
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return cast(Report, json.loads(report.read_text()))


def _keep(name: str, running: Running, advertised: Report, tried: Report) -> None:
    outcomes = {one["id"]: one["outcome"] for one in tried["checks"]}
    document = {
        "server": name,
        "version": running.version,
        "extensions": advertised["server"].get("extensions", []),
        "suite": advertised["suite"],
        "date": advertised["date"],
        "counts": advertised["counts"],
        "checks": [_check(one, outcomes[one["id"]]) for one in advertised["checks"]],
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
    print(name, running.version, advertised["counts"])


def _check(one: Report, with_all: str) -> Report:
    reason = (one["reason"] or "").splitlines()
    return {
        **{key: one[key] for key in ("id", "area", "promise", "source", "severity", "extension", "outcome")},
        "reason": reason[0][:_SHOWN] if reason else None,
        "with_all": with_all,
    }


if __name__ == "__main__":
    main()
