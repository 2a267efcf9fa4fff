"""One view's rows as a plan uses them: a whole row goes as it is, any other gets what stands in, and is told of."""

from __future__ import annotations

from dataclasses import dataclass, field

from serving.errors import FeaturesAway, ServingError, UnknownEntity
from serving.features.feature_status import NOT_FOUND, NULL, OUTDATED, STALE, UNAVAILABLE, UNREADABLE
from serving.features.feature_view import Feature, FeatureView
from serving.features.keys import values_of
from serving.features.model_inputs import OnMissing, UsedView
from serving.features.packed import HEAD_BYTES, RowLayout
from serving.features.wholeness import Wholeness
from serving.inference import Tensor

# Rows lack the same few features again and again; a view with more ways than this to be incomplete makes them anew.
GAPS_KEPT = 1024
_MOST_NAMED = 6
_WHY = {
    STALE: "is older than the view's max_age",
    UNAVAILABLE: "cannot be read now: the features Redis is away or late",
}


@dataclass(frozen=True, slots=True, eq=False)
class Gap:
    """Features of a view that a row lacks, and why; none where only features are missing that the model does not get.

    `error` is what the caller is told where the model takes no defaults.
    """

    view: FeatureView
    features: tuple[str, ...]
    status: str
    error: type[ServingError] | None = None

    @property
    def text(self) -> str:
        """`plane=not_found`, or each missing feature by name."""
        if self.status != NULL:
            return f"{self.view.name}={self.status}"
        return ", ".join(f"{self.view.name}.{name}={self.status}" for name in self.features)

    def refusal(self, position: int, key: bytes) -> ServingError:
        """Names the instance, the view and the entity, which is that of the row's key."""
        values = zip(self.view.entity, values_of(self.view, key), strict=True)
        entity = ", ".join(f"{name} {value[:80]!r}" for name, value in values)
        row = f"instances[{position}]: the row of {entity} in feature view {self.view.name!r}"
        if self.error is UnknownEntity:
            return UnknownEntity(f"{row} does not exist, and this model answers none without it")
        why = _WHY.get(self.status, self.view.why_unreadable)
        return FeaturesAway(f"{row} {why}, and this model answers none without it")


@dataclass(slots=True)
class Filled:
    """A request's finished tensors, and how many rows had each gap.

    With a `refusal`, that of the first row which the model does not do without, the tensors are not to be used.
    """

    tensors: list[Tensor] = field(default_factory=list)
    gaps: dict[Gap, int] = field(default_factory=dict)
    refusal: ServingError | None = None

    @property
    def degraded(self) -> str:
        """What the answer says of itself: `plane=not_found, route.flights=null`; "" where all was present."""
        if not self.gaps:
            return ""
        words = list(dict.fromkeys(word for gap in self.gaps for word in gap.text.split(", ")))
        more = len(words) - _MOST_NAMED
        return ", ".join(words[:_MOST_NAMED]) + (f", and {more} more" if more > 0 else "")


def stand_in(feature: Feature, on_missing: OnMissing) -> float:
    """What a model gets where a value is missing."""
    return feature.impute if on_missing == "impute" and feature.impute is not None else feature.default


class ViewRead:
    """How one plan takes the rows of one view."""

    def __init__(self, used: UsedView, layout: RowLayout, on_missing: OnMissing = "default") -> None:
        self.view = used.view
        self._layout = layout
        self.used = tuple(feature.name for feature in used.features)
        imputes = on_missing == "impute"
        self.filled_by = {f.name: "impute" if imputes and f.impute is not None else "default" for f in used.features}
        self._refuse = on_missing == "fail"
        self._wholeness = Wholeness(layout)
        # `whole(data, now_ms)`: looked at for each row, so without a call in between.
        self.whole = self._wholeness.of
        self._stand_ins = tuple(stand_in(feature, on_missing) for feature in used.view.features)
        self._stand_in_row = bytes(layout.values_at) + layout.values.pack(*self._stand_ins)
        self._gaps: dict[str | bytes, Gap] = {}
        # No gap at all: the values are used, and told of.
        self.outdated = Gap(used.view, self.used, OUTDATED)

    def mended(self, data: bytes | None, now_ms: int, *, away: bool) -> tuple[Gap, bytes]:
        """What a row that is not whole lacks, and a row of what stands in for it."""
        if data is None:
            return self._gap(UNAVAILABLE if away else NOT_FOUND), self._stand_in_row
        row = self._layout.unpack(data)
        if row is None:
            return self._gap(UNREADABLE), self._stand_in_row
        if not self._wholeness.young(row.event_time_ms, now_ms):
            return self._gap(STALE), self._stand_in_row
        values = [
            instead if value is None else value for value, instead in zip(row.values, self._stand_ins, strict=True)
        ]
        presence = data[HEAD_BYTES : self._layout.values_at]
        return self._gap(presence), bytes(self._layout.values_at) + self._layout.values.pack(*values)

    def outdated_beside(self, gap: Gap) -> Gap:
        """What is told of the values that such a row does have, where it was kept from before and nothing answers."""
        return Gap(self.view, tuple(name for name in self.used if name not in gap.features), OUTDATED)

    def age_s(self, data: bytes | None, now_ms: int) -> float | None:
        """How old the facts of a row are; None where there is no row that can be read."""
        if data is None or not self._layout.fits(data):
            return None
        return (now_ms - self._layout.event_time_ms(data)) / 1000

    def _gap(self, why: str | bytes) -> Gap:
        gap = self._gaps.get(why)
        if gap is None:
            gap = self._new_gap(why)
            if len(self._gaps) < GAPS_KEPT:
                self._gaps[why] = gap
        return gap

    def _new_gap(self, why: str | bytes) -> Gap:
        if isinstance(why, bytes):
            present = int.from_bytes(why, "little")
            absent = {f.name for n, f in enumerate(self.view.features) if not present >> n & 1}
            return Gap(self.view, tuple(name for name in self.used if name in absent), NULL)
        error: type[ServingError] | None = None
        if self._refuse:
            error = UnknownEntity if why == NOT_FOUND else FeaturesAway
        return Gap(self.view, self.used, why, error)
