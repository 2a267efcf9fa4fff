"""The session's memory of how long versions run: what each worker told last, and what those that ended had learned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from serving.batching.estimates import Where
from serving.batching.latency_model import Estimate
from serving.batching.learned import Learned, readable
from serving.inference import VersionKey

# An estimate that forgets 2 % a run remembers about so many.
_MEMORY_RUNS = 50


class LearnedEstimates:
    """Workers are named by numbers that grow."""

    def __init__(self, known: Iterable[Learned] = ()) -> None:
        self._before = {one.where: one for one in known}
        self._told: dict[int, dict[Where, Learned]] = {}

    def told(self, worker: int, entries: Iterable[Sequence[Any]]) -> None:
        """What changed in a worker's estimates."""
        self._told.setdefault(worker, {}).update({one.where: one for one in readable(entries)})

    def gone(self, worker: int) -> None:
        """What it learned stays known until others have learned as much themselves."""
        self._before = {one.where: one for one in self.known()}
        self._told.pop(worker, None)

    def keep(self, versions: Iterable[VersionKey]) -> None:
        """Forget all others: they are served no more."""
        kept = frozenset(versions)
        self._before = {where: one for where, one in self._before.items() if where[1] in kept}
        for worker, told in self._told.items():
            self._told[worker] = {where: one for where, one in told.items() if where[1] in kept}

    def known(self) -> list[Learned]:
        """One estimate for each version and place: the living workers', once they have seen as much as it remembers.

        Of two workers one may have seen next to nothing when the other ends, and knows no better for having lived.
        """
        living: dict[Where, list[Learned]] = {}
        # The newest worker first: where the file was replaced, it is the one that has the new one.
        for _, told in sorted(self._told.items(), reverse=True):
            for where, one in told.items():
                living.setdefault(where, []).append(one)
        known = dict(self._before)
        for where, found in living.items():
            before, now = known.get(where), merged_estimate(found)
            if before is None or before.file != now.file or now.runs >= min(before.runs, _MEMORY_RUNS):
                known[where] = now
        return list(known.values())


def merged_estimate(found: Sequence[Learned]) -> Learned:
    """The mean of several workers' estimates of one version, each weighed by its runs; other files' are left out."""
    newest = found[0]
    alike = [one for one in found if one.file == newest.file]
    runs = sum([one.runs for one in alike])
    if len(alike) == 1 or not runs:
        return newest
    parts = zip(*(one.estimate for one in alike), strict=True)
    means = [sum([part * one.runs for part, one in zip(values, alike, strict=True)]) / runs for values in parts]
    return newest._replace(estimate=Estimate(*means), runs=runs)
