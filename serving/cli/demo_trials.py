"""What `sluice demo --canary` rolls out: a version for each end of a rollout, by a plan of two minutes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deployments.flights.sample import CONFIGURATION, MODEL, MODELS, TRIAL_MODELS
from serving.cli.canary_choice import Canary
from serving.config.document import read_yaml

STABLE = 1


@dataclass(frozen=True, slots=True)
class DemoTrial:
    """A version, what is known of it beforehand, and what its owner's plan says besides the steps."""

    version: int
    about: str
    accepts: Mapping[str, Any] = field(default_factory=dict)

    def plan(self) -> dict[str, Any]:
        """As `sluice rollout start --plan` takes it."""
        steps = [
            {"weight": 20, "duration": "15s", "max_duration": "90s"},
            {"weight": 50, "duration": "20s", "max_duration": "2m"},
        ]
        return {"steps": steps, **self.accepts}


# Trees are another model: other scores are what they are for, and beside a regression of 7 us they take their time.
_ANOTHER_MODEL = {"expect_drift": True, "gates": {"latency": False}}
TRIALS = {
    Canary.GOOD: DemoTrial(
        2, "boosted trees for a regression, which may score otherwise and run longer", _ANOTHER_MODEL
    ),
    Canary.BAD: DemoTrial(3, "its table of weekdays is one short: every flight on a Sunday raises"),
    Canary.SLOW: DemoTrial(4, "where it rains at the origin, it takes milliseconds longer"),
    Canary.SHIFTED: DemoTrial(5, "it gives every flight a higher chance of being late"),
}


def write_repository(folder: Path, version: int) -> Path:
    """The version that answers and the one under trial, as a repository of their own."""
    models = folder / "models"
    of = MODELS if (MODELS / MODEL / str(version)).is_dir() else TRIAL_MODELS
    for source, number in ((MODELS, STABLE), (of, version)):
        shutil.copytree(source / MODEL / str(number), models / MODEL / str(number))
    shutil.copy(MODELS / MODEL / "model.yaml", models / MODEL)
    return models


def write_configuration(folder: Path) -> Path:
    """The example's configuration, in which version 1 answers though there is a higher one."""
    settings = read_yaml(CONFIGURATION.read_text(encoding="utf-8"), CONFIGURATION.name).values
    settings["models"][MODEL]["routes"] = {"stable": STABLE}
    path = folder / "sluice.yaml"
    # JSON is YAML.
    path.write_text(json.dumps(settings), encoding="utf-8")
    return path
