"""A plan as one variant uses it, and what became of the values that it took."""

from __future__ import annotations

from collections.abc import Mapping

from serving.features.feature_status import PRESENT
from serving.features.filling import Gap
from serving.features.plan import ReadPlan
from serving.inference import VersionKey


class PlanInUse:
    """`rows` and what they lacked are counted here, until they are taken: an attribute, and no look-up, for a request.

    Versions of a model share a plan; each counts for itself, so that a trial that gets fewer values shows.
    """

    def __init__(self, plan: ReadPlan, key: VersionKey, variant: str) -> None:
        self.plan = plan
        self.key = key
        self.variant = variant
        self.rows = 0
        # By names and not by gap: of those, Redis could make any number.
        self._gaps: dict[tuple[str, str, str], int] = {}

    def count(self, gaps: Mapping[Gap, int]) -> None:
        """So many of the rows had each gap."""
        for gap, count in gaps.items():
            for name in gap.features:
                lacking = (gap.view.name, name, gap.status)
                self._gaps[lacking] = self._gaps.get(lacking, 0) + count

    def taken(self) -> dict[tuple[str, str], dict[str, int]]:
        """How many values of each feature (its view and its name) had each status; counting begins anew."""
        counts: dict[tuple[str, str], dict[str, int]] = {
            (used.view.name, feature.name): {PRESENT: self.rows}
            for used in self.plan.views
            for feature in used.features
        }
        for (view, name, status), count in self._gaps.items():
            of = counts[view, name]
            of[status] = count
            of[PRESENT] -= count
        self.rows = 0
        self._gaps.clear()
        return counts
