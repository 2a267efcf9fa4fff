"""What a worker has learned of one version's runs, as it outlives the worker: by place, version and model file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any, NamedTuple

from serving.batching.estimates import Where
from serving.batching.latency_model import Estimate
from serving.inference import VersionKey


class Learned(NamedTuple):
    """`file` changes with the version's model file: what was learned of another one says nothing of it."""

    place: str
    key: VersionKey
    file: str
    estimate: Estimate
    runs: int

    @property
    def where(self) -> Where:
        """What it is the estimate of."""
        return self.place, self.key


def dump(learned: Learned) -> list[Any]:
    """Plain values, as `load` reads them."""
    return [learned.place, *learned.key, learned.file, *learned.estimate, learned.runs]


def load(entry: Sequence[Any]) -> Learned:
    """What was dumped, by another process or another day.

    Raises:
        ValueError: it is none, or has numbers that no run can have.
    """
    try:
        place, model, version, file, *numbers, runs = entry
        fixed_s, row_s, margin = map(float, numbers)
        key, estimate = VersionKey(str(model), int(version)), Estimate(fixed_s, row_s, margin)
        learned = Learned(str(place), key, str(file), estimate, int(runs))
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{str(entry)[:200]} is no estimate") from error
    possible = fixed_s >= 0.0 and row_s >= 0.0 and margin >= 1.0 and learned.runs >= 0
    if not (possible and isfinite(fixed_s + row_s + margin)):
        raise ValueError(f"{str(entry)[:200]} is an estimate that no run can have")
    return learned


def readable(entries: Iterable[Sequence[Any]]) -> list[Learned]:
    """Those that `load` can read: supervisor and worker may be of different releases."""
    found = []
    for entry in entries:
        try:
            found.append(load(entry))
        except ValueError:
            continue
    return found
