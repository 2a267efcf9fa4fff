"""The supervisor's memory of what the workers count: the latest of each, and the sum of those that have ended."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from serving.inference import VersionKey
from serving.telemetry.merge import merged, of_model, pruned, retire, updated
from serving.telemetry.snapshot import Snapshot, load
from serving.telemetry.usage import Usage, by_version


class FleetCounts:
    """Workers are named by numbers that are not used again."""

    def __init__(self) -> None:
        self._retired = Snapshot()
        self._latest: dict[int, Snapshot] = {}

    def counted(self, worker: int, message: Mapping[str, Any]) -> bool:
        """What changed in a worker's counts; False when they are in another release's format and were left out."""
        snapshot = load(message)
        if snapshot is None:
            return False
        before = self._latest.get(worker)
        self._latest[worker] = snapshot if before is None else updated(before, snapshot)
        return True

    def gone(self, worker: int) -> None:
        """What it counted stays counted; its gauges end. Up to a second of a crashed worker's counts is lost."""
        ended = self._latest.pop(worker, None)
        if ended is not None:
            self._retired = pruned(retire(self._retired, ended), self._latest.values())

    def usage(self, fresh: Mapping[int, Mapping[VersionKey, Usage]]) -> dict[VersionKey, Usage]:
        """What every version did in all workers; `fresh` has the newest counts of those that told them just now."""
        latest = {worker: snapshot.usage for worker, snapshot in self._latest.items()}
        return by_version([self._retired.usage, *{**latest, **fresh}.values()])

    def of_model(self, model: str, metrics: Collection[str]) -> Snapshot:
        """A model's histograms and counters of these metrics, of workers that ended too."""
        return merged(
            of_model(self._retired, model, metrics),
            [of_model(snapshot, model, metrics) for snapshot in self._latest.values()],
            Snapshot(),
        )

    def merged(self, also: Snapshot) -> Snapshot:
        """One page's worth; `also` is what the supervisor itself knows."""
        return merged(self._retired, self._latest.values(), also)
