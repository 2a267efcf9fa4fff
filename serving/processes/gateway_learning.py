"""The estimates of one worker on their way: what it begins with, and what it has learned since it last told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from serving.batching.estimates import Estimates, Where
from serving.batching.learned import Learned, dump, readable
from serving.inference import VersionKey
from serving.processes.file_mark import file_mark
from serving.processes.session_plan import ServedModel

# A thousand busy versions told at once would hold the loop for milliseconds.
_AT_ONCE = 200


class GatewayLearning:
    """`known` is what earlier workers learned, as the start message has it; what is of another file is dropped."""

    def __init__(self, estimates: Estimates, models: Iterable[ServedModel], known: Iterable[Sequence[Any]]) -> None:
        self._estimates = estimates
        self._files: dict[VersionKey, str] = {}
        self._told: dict[Where, tuple[int, int]] = {}
        self._reports = 0
        for served in models:
            self.loaded(served)
        estimates.remember({one.where: one.estimate for one in readable(known) if self._files.get(one.key) == one.file})

    def loaded(self, served: ServedModel) -> None:
        """A version is about to be hosted; one that is already has the file that it was loaded from."""
        key = VersionKey(served.model, served.version)
        if key not in self._files:
            self._files[key] = file_mark(served.path)

    def unloaded(self, key: VersionKey) -> None:
        """What comes back under this number may be another model."""
        self._files.pop(key, None)
        self._estimates.forget(key)
        self._told = {where: told for where, told in self._told.items() if where[1] != key}

    def news(self) -> list[list[Any]]:
        """What has run since it was last told, longest untold first; the rest waits for the next report."""
        self._reports += 1
        never = 0, 0
        learned = self._estimates.learned()
        due = [where for where, model in learned.items() if model.runs != self._told.get(where, never)[1]]
        due.sort(key=lambda where: self._told.get(where, never)[0])
        entries = []
        for where in due[:_AT_ONCE]:
            model = learned[where]
            self._told[where] = self._reports, model.runs
            place, key = where
            entries.append(dump(Learned(place, key, self._files.get(key, ""), model.estimate, model.runs)))
        return entries
