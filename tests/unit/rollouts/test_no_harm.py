"""That the canary does no harm is shown by the current step alone, on one of two routes for every margin."""

from __future__ import annotations

import numpy as np

from serving.rollouts.evidence import Evidence, nothing, with_strata
from serving.rollouts.gate import Gate, GateSet, Kind, Margin
from serving.rollouts.no_harm import Proof, proofs
from serving.rollouts.stratum import Stratum, StratumCounts, per_request

GATES = GateSet([Gate("errors", Kind.RATE, 0.02, margins=(Margin(0, 1.75, 0.005),))])


def seen(step: int, requests: tuple[int, int], events: tuple[int, int], weight_bp: int = 5_000) -> StratumCounts:
    stratum = Stratum(step, step, step, weight_bp)
    return per_request(stratum, np.array(requests), np.array(events[:1]), np.array(events[1:]))


def proof(*strata: StratumCounts) -> Proof:
    return proofs(GATES, with_strata(GATES, nothing(GATES), strata))[0]


def test_without_traffic_nothing_is_shown() -> None:
    assert not proofs(GATES, nothing(GATES))[0].shown


def test_many_events_at_equal_rates_show_it_by_the_ratio() -> None:
    found = proof(seen(4, (2_000, 2_000), (200, 200)))
    assert found.e > 40
    assert found.excess > 0.005
    assert found.shown


def test_rare_events_show_it_by_the_excess() -> None:
    found = proof(seen(4, (5_000, 5_000), (1, 1)))
    assert found.e < 40
    assert found.shown


def test_twice_as_many_events_are_not_shown_to_be_harmless() -> None:
    assert not proof(seen(4, (5_000, 5_000), (200, 100))).shown


def test_what_earlier_steps_showed_does_not_count() -> None:
    good = seen(3, (20_000, 20_000), (200, 200))
    assert proof(good).shown
    assert not proof(good, seen(4, (50, 50), (1, 1))).shown


def test_where_keys_have_run_out_nothing_is_shown() -> None:
    plain = seen(4, (2_000, 2_000), (200, 200))
    events = plain.events.copy()
    events[4:] *= 3
    few_keys = StratumCounts(plain.stratum, plain.requests, plain.keys, events)
    evidence: Evidence = with_strata(GATES, nothing(GATES), [few_keys])
    assert proofs(GATES, evidence)[0].saturated
    assert not proofs(GATES, evidence)[0].shown


def test_of_a_sample_of_keys_first_events_are_held_against_the_samples_own() -> None:
    gates = GateSet([*GATES.gates, Gate("split", Kind.SPLIT, 0.001)])
    plain = seen(4, (2_000, 2_000), (200, 200))
    events = np.zeros((6, 2), np.int64)
    events[:, 0] = plain.events[:, 0]
    # All requests' events are three times those of the third of keys that are known.
    events[4:, 0] *= 3
    events[:, 1] = 2_000
    counts = StratumCounts(plain.stratum, plain.requests * 3, plain.keys, events)
    assert not proofs(gates, with_strata(gates, nothing(gates), [counts]))[0].saturated
    events[4:, 1] = 6_000
    assert proofs(gates, with_strata(gates, nothing(gates), [counts]))[0].saturated


def test_gates_without_margins_ask_for_no_proof() -> None:
    gates = GateSet([Gate("split", Kind.SPLIT, 0.001)])
    assert proofs(gates, nothing(gates)) == []


def test_each_route_has_half_of_alpha() -> None:
    """A ratio needs evidence of 40; 20 would do if there were no other route."""
    found = proof(seen(4, (500, 500), (58, 58)))
    assert 20 < found.e < 40
    assert not found.shown


def test_of_canaries_at_the_margin_few_are_ever_shown_to_be_harmless() -> None:
    draw, shown = np.random.default_rng(5), 0
    for _ in range(150):
        evidence, found = nothing(GATES), False
        for time_slice in range(60):
            stratum = Stratum(time_slice, 4, 4, 5_000)
            requests = draw.poisson([200, 200])
            events = draw.binomial(requests, [0.035, 0.02])
            counts = per_request(stratum, requests, events[:1], events[1:])
            evidence = with_strata(GATES, evidence, [counts])
            found = found or proofs(GATES, evidence)[0].shown
        shown += found
    assert shown <= 12
