"""Tells how the features store is: which of its nodes are left alone, and what was asked twice or elsewhere."""

from __future__ import annotations

from serving.features.store.feature_reader import Figures
from serving.telemetry.catalogue import FEATURE_HEDGE_WINS, FEATURE_HEDGES, FEATURE_NODES_LEFT, FEATURE_REDIRECTS
from serving.telemetry.recorder import Recorder


def tell_figures(recorder: Recorder, figures: Figures) -> None:
    """For the next snapshot."""
    for name, answers in figures.nodes.items():
        recorder.measured(FEATURE_NODES_LEFT, (name,), 0.0 if answers else 1.0)
    recorder.counted(FEATURE_REDIRECTS, (), figures.redirects)
    recorder.counted(FEATURE_HEDGES, (), figures.hedged)
    recorder.counted(FEATURE_HEDGE_WINS, (), figures.hedge_wins)
