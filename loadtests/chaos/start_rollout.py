"""Roll a version out to its end: `python -m loadtests.chaos.start_rollout --model flight-delay --version 3`."""

from __future__ import annotations

import json
import tempfile
from argparse import ArgumentParser
from pathlib import Path

from loadtests.chaos.commands import sluice
from loadtests.chaos.session import carry_out, options

# Two steps of some seconds: a load test is no place for patience.
_STEPS = [
    {"weight": 20, "duration": "10s", "max_duration": "120s"},
    {"weight": 50, "duration": "10s", "max_duration": "120s"},
]


def arguments() -> ArgumentParser:
    """Its options."""
    parser = options(main.__doc__ or "")
    parser.add_argument("--model", required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--expect", choices=("promoted", "rolled-back"), default="promoted")
    parser.add_argument(
        "--accept", choices=("drift", "nothing"), default="nothing", help="other scores are its purpose"
    )
    parser.add_argument("--plan", help="a plan file, instead of two steps of 20 and 50 %%")
    return parser


def main() -> None:
    """Exit code 1 where it does not end as --expect says; who stops this aborts the rollout."""
    given = arguments().parse_args()

    def act() -> str:
        port = ("--http-port", str(given.http_port))
        with tempfile.TemporaryDirectory() as folder:
            plan = given.plan or str(_written(Path(folder), accepts=given.accept == "drift"))
            # The same two thousand flights come again and again: counted by their keys they would be few.
            sluice("rollout", "start", given.model, given.version, "--by-request", "--plan", plan, *port)
        try:
            return sluice("rollout", "wait", given.model, "--for", given.expect, "--timeout", "280", *port)
        except KeyboardInterrupt:
            # The load that it was to be judged by is over, and nobody waits for it any more.
            sluice("rollout", "abort", given.model, *port)
            raise

    carry_out(act)


def _written(folder: Path, *, accepts: bool) -> Path:
    """Another model may score otherwise, and take its time."""
    more = {"expect_drift": True, "gates": {"latency": False}} if accepts else {}
    plan = folder / "plan.yaml"
    # JSON is YAML.
    plan.write_text(json.dumps({"steps": _STEPS, **more}), encoding="utf-8")
    return plan


if __name__ == "__main__":
    main()
