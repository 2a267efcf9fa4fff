"""What is known of each version's runs on each backend, for as long as the worker lives, and beyond it."""

from __future__ import annotations

from collections.abc import Mapping

from serving.batching.latency_model import Estimate, LatencyModel
from serving.inference import VersionKey

# Where nobody measured, a run is thought to be short: nobody is refused for what is not known.
_UNKNOWN_S = 1e-4
# Of one warm row's run, what is thought to be a matter of rows until batches of more have run: were it too much,
# larger ones would never be tried.
_ROW_SHARE = 1 / 8

Where = tuple[str, VersionKey]


class Estimates:
    """One model of latency for each version in each place: a pool's name, or the gateway's."""

    def __init__(self) -> None:
        self._known: dict[Where, Estimate] = {}
        self._models: dict[Where, LatencyModel] = {}

    def remember(self, known: Mapping[Where, Estimate]) -> None:
        """What an earlier worker learned; for versions that are asked for later."""
        self._known.update(known)

    def model(self, place: str, key: VersionKey, warm_s: float) -> LatencyModel:
        """The version's, which begins with what was known before, or else with what one warm row took."""
        where = place, key
        found = self._models.get(where)
        if found is None:
            learned = self._known.pop(where, None)
            run_s = warm_s or _UNKNOWN_S
            believed = learned or Estimate(run_s * (1 - _ROW_SHARE), run_s * _ROW_SHARE)
            found = self._models[where] = LatencyModel(believed, learned=learned is not None)
        return found

    def forget(self, key: VersionKey) -> None:
        """A version was let go: what comes back under its number may be another model."""
        self._known = {where: known for where, known in self._known.items() if where[1] != key}
        self._models = {where: model for where, model in self._models.items() if where[1] != key}

    def learned(self) -> Mapping[Where, LatencyModel]:
        """What has been seen to run."""
        return {where: model for where, model in self._models.items() if model.runs}
