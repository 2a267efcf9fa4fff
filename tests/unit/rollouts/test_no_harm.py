"""That the canary does no harm is shown by the current step alone, on one of two routes for every margin."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from serving.inference import Outputs, Request
from serving.request_path.judged import Judged
from serving.request_path.tallies import Took
from serving.request_path.trials import CANARY, Trials, answered
from serving.rollouts.counted import stratum_counts
from serving.rollouts.evidence import Evidence, nothing, with_strata
from serving.rollouts.gate import Gate, GateSet, Kind, Margin
from serving.rollouts.no_harm import Proof, proofs
from serving.rollouts.stratum import Stratum, StratumCounts, per_request
from serving.routing.table import Route, RouteTable, Trial
from serving.state.rollout_counts import EVERY, ArmCounts, StratumName
from tests.unit.request_path.conftest import Caller

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


SLOW = Gate("latency", Kind.LATENCY, 0.01, bins=1, phi0=1.25, margins=(Margin(0, 2.0, 0.03),))
SAMPLED = GateSet([SLOW, Gate("split", Kind.SPLIT, 0.001)])


def tallied(key_sample: int, requests: int, keys: int) -> StratumCounts:
    """Requests of so many keys in either arm, half of them slow, as a worker tallies and stores them."""
    trials, of = Trials(lambda: 1.0), StratumName(0, 1, 4, 5_000)
    trial = Trial("r", 1, 4, 5_000, True, 0.0, 0.0, (1_000,), key_sample=key_sample)
    trials.adopt(RouteTable(1, {"m": Route("m", "salt", (), (), trial)}))
    for number in range(requests):
        for variant in (CANARY, "stable"):
            request = Request("m", [], Caller(), 0.0)
            request.key = b"%s-%d" % (variant.encode(), number % keys)
            trials.assign(request, variant)
            slow = number % keys % 2 == 0
            judged = Judged()
            judged.add(request, 0, ())
            answered(judged, Outputs(()), Took(0.005 if slow else 0.0, 0.0, 1, True))
    fields: Counter[str] = Counter()
    for tally in trials.take():
        arm = 0 if tally.canary else 1
        fields.update(ArmCounts(of, arm, True, tally.requests, tally.events, runs=tally.runs).as_json()["counts"])
        for first in tally.firsts:
            if first.sampled:
                fields[f"keys|{arm}" if first.seen == "keys" else f"{EVERY - 2 + arm}|{first.event}"] += 1
    return stratum_counts(SAMPLED, of, fields)


@pytest.mark.parametrize(("share", "keys", "saturated"), [(1, 8_000, False), (8, 8_000, False), (8, 800, True)])
def test_of_a_sample_of_keys_slow_runs_are_held_against_the_samples_own(share: int, keys: int, saturated: bool) -> None:
    (found,) = proofs(SAMPLED, with_strata(SAMPLED, nothing(SAMPLED), [tallied((1 << 32) // share, 8_000, keys)]))
    assert found.saturated == saturated
    assert found.shown != saturated


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
