"""The demo's figures are right."""

from __future__ import annotations

import io
from math import isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from serving.cli.demo_flights import Predicted, auc, flights_table, manifest, totals
from serving.cli.demo_run import FLIGHTS
from tests.unit.cli.flights import some_flights


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=30))
def test_the_area_is_how_often_a_late_flight_scores_above_a_punctual_one(pairs: list[tuple[int, bool]]) -> None:
    scores, late = [float(score) for score, _ in pairs], [is_late for _, is_late in pairs]
    ahead = [
        1.0 if one > other else 0.5 if one == other else 0.0
        for one, was_late in zip(scores, late, strict=True)
        if was_late
        for other, other_late in zip(scores, late, strict=True)
        if not other_late
    ]
    found = auc(scores, late)
    assert isnan(found) if not ahead else abs(found - sum(ahead) / len(ahead)) < 1e-9


def test_the_totals_cover_every_flight_and_the_table_is_a_sample() -> None:
    predicted = [Predicted(flight, 0.4, "2", 0.001) for flight in some_flights(FLIGHTS)]
    late = [float(one.flight.late) for one in predicted]
    told = dict(totals(predicted, late, 0.5))
    assert told["flights"].startswith("200 real ones")
    assert told["AUC"].startswith("0.5000 by ids, 1.0000 of the finished rows offline")
    assert told["latency"].startswith("median 1.00 ms, p99 1.00 ms")
    assert flights_table(predicted, 0.5, 200).row_count == 12
    assert flights_table(predicted[:3], 0.5, 200).row_count == 3


@pytest.mark.parametrize(("width", "columns"), [(80, 6), (104, 6), (105, 8), (200, 8)])
def test_a_narrow_terminal_cuts_no_cell_apart(width: int, columns: int) -> None:
    predicted = [Predicted(flight, 1.0, "2", 0.123) for flight in some_flights(FLIGHTS)]
    made = flights_table(predicted, 0.5, width)
    written = io.StringIO()
    Console(file=written, width=width).print(made)
    assert len(made.columns) == columns
    assert len(written.getvalue().splitlines()) == 2 + made.row_count


def test_the_demo_reads_the_score_as_the_models_owner_says() -> None:
    facts = manifest()
    assert (facts.score, facts.score_index) == ("probabilities", 1)
