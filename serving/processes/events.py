"""What the supervisor tells while it runs: one record per thing that people or logs should hear of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal[
    "starting",  # a part was started
    "started",  # a part is up
    "refused",  # a version cannot be served; the others are
    "waiting",  # not ready yet, and why
    "unproven",  # the model answers, but with an error to the sample request
    "ready",  # a prediction of every default model worked
    "crashed",  # a part ended by itself
    "restarting",  # it will be started again after `wait_s`
    "restarted",  # it is back
    "adopted",  # another worker serves a dead worker's listener
    "trouble",  # something of ours failed and was caught; the part goes on
    "rolling",  # a rolling restart began
    "rolled",  # every worker was replaced
    "roll_failed",  # the successor did not become ready; the predecessor goes on
    "reloaded",  # the session follows its configuration as it is written now
    "reload_refused",  # it does not, and why; the one before goes on
    "scaled",  # a pool has another number of replicas from now on, and why
    "loaded",  # a version was loaded while the session runs
    "unloaded",
    "stopping",
    "stopped",
    "swept",  # the remains of a dead session were removed
]


@dataclass(frozen=True, slots=True)
class Event:
    """`part` is e.g. "gateway 0", "engine", "valkey control"; `text` is for people, `facts` for logs."""

    kind: Kind
    part: str
    text: str
    facts: Mapping[str, Any] = field(default_factory=dict)


Emit = Callable[[Event], None]
