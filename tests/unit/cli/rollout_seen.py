"""A rollout as the control API shows it."""

from __future__ import annotations

from typing import Any

SEEN: dict[str, Any] = {
    "id": "m-2",
    "model": "m",
    "stable": 1,
    "canary": 2,
    "phase": "shadow",
    "frozen": False,
    "over": False,
    "since_s": 0.0,
    "weight_percent": 0.0,
    "sentence": "it goes on",
    "said": "it goes on",
    "step": 0,
    "steps": [{"weight_percent": 50.0}],
    "requests": {"canary": 0, "stable": 0},
    "late_requests": 0,
    "counted_by": "request",
    "runs": "beside the stable version",
    "gates": [],
    "guardrail": [],
    "lacking": [],
}
