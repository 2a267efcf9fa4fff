"""What a request path looks up for its models, and where; nothing, unless it is told."""

from __future__ import annotations

from dataclasses import dataclass

from serving.features.feature_status import FeatureObserver
from serving.features.features import Kept
from serving.features.read_budget import BudgetOptions
from serving.features.store.feature_reader import FeatureReader
from serving.inference import VersionKey
from serving.request_path.read_plans import NO_PLANS, ReadPlans


class _Nobody:
    """Counts nothing: no model reads features."""

    def feature_values(self, key: VersionKey, variant: str, feature: tuple[str, str], counts: dict[str, int]) -> None:
        """Nobody asks."""

    def feature_read_failed(self, reason: str) -> None:
        """Nobody asks."""


@dataclass(frozen=True, slots=True)
class LookUps:
    """`plans` tells what each version reads, `reader` reads it (None: there is no features Redis).

    Requests in a hurry wait for a `budget`, and then for nothing; `kept` is what they may use instead.
    """

    plans: ReadPlans
    reader: FeatureReader | None
    observer: FeatureObserver
    budget: BudgetOptions | None = None
    kept: Kept | None = None


NOTHING = LookUps(NO_PLANS, None, _Nobody())
