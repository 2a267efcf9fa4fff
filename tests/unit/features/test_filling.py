"""What a view keeps to tell of rows that lack something."""

from __future__ import annotations

from serving.features.feature_view import FeatureView, feature
from serving.features.filling import GAPS_KEPT, ViewRead
from serving.features.model_inputs import UsedView
from serving.features.packed import RowLayout

WIDE = FeatureView("wide", ("id",), tuple(feature(f"f{number}") for number in range(12)))
LAYOUT = RowLayout(WIDE)


def lacking(pattern: int) -> bytes:
    """A row that has the features whose bits are set."""
    return LAYOUT.pack([1.0 if pattern >> number & 1 else None for number in range(12)], 0)


def test_ways_to_be_incomplete_are_kept_up_to_a_bound_and_told_beyond_it() -> None:
    read = ViewRead(UsedView(WIDE, WIDE.features), LAYOUT)
    known = [read.mended(lacking(pattern), 0, away=False)[0] for pattern in range(GAPS_KEPT)]
    assert all(read.mended(lacking(n), 0, away=False)[0] is gap for n, gap in enumerate(known))
    first, again = (read.mended(lacking(GAPS_KEPT), 0, away=False)[0] for _ in range(2))
    assert first is not again, "Redis decides what rows lack, and must not fill this process"
    assert first.features == again.features == tuple(f"f{number}" for number in range(12) if number != 10)
    assert read.mended(lacking(0), 0, away=False)[0] is known[0]
