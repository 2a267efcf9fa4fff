"""Evidence: the recursion, whatever is folded when, by whom it was counted, and what is kept of it."""

from __future__ import annotations

import json
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.rollouts import record
from serving.rollouts.alternatives import WORSE
from serving.rollouts.evidence import nothing, values, with_strata
from serving.rollouts.gate import Gate, GateSet, Kind, Margin
from serving.rollouts.stratum import ROWS, Stratum, StratumCounts, per_request

GATES = GateSet(
    [
        Gate("errors", Kind.RATE, 0.02, margins=(Margin(0, 1.75, 0.005),)),
        Gate("latency", Kind.LATENCY, 0.01, bins=3, phi0=1.25),
        Gate("scores", Kind.DRIFT, 0.01, bins=10),
        Gate("split", Kind.SPLIT, 0.001),
    ]
)
WEIGHTS = (100, 1_000, 5_000)


def drawn(seed: int, slices: int) -> list[StratumCounts]:
    """Some traffic over three steps, with gaps and with two tables within some slices."""
    draw = np.random.default_rng(seed)
    strata = []
    for time_slice in range(slices):
        if draw.random() < 0.2:
            continue
        step = min(2, 3 * time_slice // slices)
        for generation in range(step, step + 1 + (draw.random() < 0.1)):
            stratum = Stratum(time_slice, generation, step, WEIGHTS[step])
            canary, stable = draw.poisson(1.0, GATES.columns), draw.poisson(5.0, GATES.columns)
            runs = list(GATES.runs_of(GATES.gates[1]))
            canary[runs] += canary.sum()
            stable[runs] += stable.sum()
            strata.append(per_request(stratum, draw.poisson([9, 90]), canary, stable))
    return strata


def dumped(strata: list[StratumCounts]) -> object:
    return record.dump(with_strata(GATES, nothing(GATES), strata))


def test_the_recursion_is_the_sum_over_all_starts() -> None:
    draw = np.random.default_rng(3)
    x, n, slices, rho = draw.poisson(2, 40), draw.poisson(9, 40) + 2, 40, 0.1
    gates = GateSet([Gate("errors", Kind.RATE, 0.02)])
    strata = [
        per_request(Stratum(j, 0, 0, 1_000), np.array([10, 90]), x[j : j + 1], n[j : j + 1]) for j in range(slices)
    ]

    def left(j: int) -> float:
        return 1 / (1 + log(1 + j))

    phis = WORSE
    pi = rho * phis / (rho * phis + 1 - rho)
    factors = (pi / rho) ** x[:, None] * ((1 - pi) / (1 - rho)) ** n[:, None]
    started = [(left(j) - left(j + 1)) * factors[j:].prod(axis=0) for j in range(slices)]
    expected = np.sum(started, axis=0).mean() + left(slices)
    assert values(gates, with_strata(gates, nothing(gates), strata))[0] == pytest.approx(expected, rel=1e-9)


def test_before_anything_is_seen_the_evidence_is_one() -> None:
    assert values(GATES, nothing(GATES)).tolist() == [1.0] * 4


@given(st.integers(0, 1_000), st.integers(1, 40), st.lists(st.integers(0, 40), max_size=6))
def test_a_restart_between_any_two_looks_changes_no_bit(seed: int, slices: int, cuts: list[int]) -> None:
    strata = drawn(seed, slices)
    evidence = nothing(GATES)
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(strata)], strict=True):
        kept = json.dumps(record.dump(evidence))
        evidence = with_strata(GATES, record.load(GATES, json.loads(kept)), strata[begin:end])
    assert record.dump(evidence) == dumped(strata)


@given(st.integers(0, 1_000), st.integers(1, 20), st.integers(1, 5))
def test_what_workers_saw_adds_up_in_any_order(seed: int, slices: int, workers: int) -> None:
    draw = np.random.default_rng(seed)
    merged = []
    for counts in drawn(seed, slices):
        parts = draw.multinomial(counts.events, [1 / workers] * workers)
        requests = draw.multinomial(counts.requests, [1 / workers] * workers)
        shares = [
            StratumCounts(counts.stratum, requests[:, worker], requests[:, worker], parts[:, :, worker])
            for worker in draw.permutation(workers)
        ]
        total = shares[0]
        for share in shares[1:]:
            total = total.plus(share)
        merged.append(total)
    assert dumped([merged[place] for place in draw.permutation(len(merged))]) == dumped(drawn(seed, slices))


@given(st.integers(0, 1_000), st.integers(1, 20))
def test_the_audit_gives_the_same_evidence_to_the_last_bit(seed: int, slices: int) -> None:
    strata = drawn(seed, slices)
    audit = json.dumps([record.dump_counts(GATES, counts) for counts in strata])
    assert dumped([record.load_counts(GATES, counts) for counts in json.loads(audit)]) == dumped(strata)


def test_a_slice_without_events_is_as_if_it_had_not_been() -> None:
    strata = drawn(1, 12)
    none = np.zeros(2, np.int64)
    empty = [
        StratumCounts(Stratum(time_slice, 9, 2, 5_000), none, none, np.zeros((ROWS, GATES.columns), np.int64))
        for time_slice in range(12)
    ]
    with_gaps, without = (with_strata(GATES, nothing(GATES), some) for some in ([*strata, *empty], strata))
    assert with_gaps.process.a.tolist() == without.process.a.tolist()


def test_counts_of_another_stratum_are_not_added() -> None:
    first, second = drawn(2, 10)[:2]
    with pytest.raises(ValueError, match="cannot be added"):
        first.plus(second)


def test_counts_of_a_step_that_is_over_are_evidence_still_but_prove_nothing_of_this_step() -> None:
    late, *_, last = drawn(1, 30)
    before = with_strata(GATES, nothing(GATES), [last])
    after = with_strata(GATES, before, [late])
    assert after.step.requests.tolist() == last.requests.tolist()
    assert after.requests.tolist() == (last.requests + late.requests).tolist()
    assert after.process.next_slice == before.process.next_slice
    assert after.process.a.tolist() != before.process.a.tolist()


def test_a_flood_of_errors_overflows_nothing() -> None:
    flood = [
        per_request(
            Stratum(j, 0, 0, 100),
            np.array([9_999, 0]),
            np.full(GATES.columns, 9_999),
            np.zeros(GATES.columns, np.int64),
        )
        for j in range(50)
    ]
    evidence = with_strata(GATES, nothing(GATES), flood)
    assert np.isfinite(values(GATES, evidence)).all()
    assert values(GATES, evidence)[0] > 1e100


def test_evidence_of_other_gates_or_another_format_is_refused() -> None:
    kept = record.dump(nothing(GATES))
    with pytest.raises(ValueError, match="other gates"):
        record.load(GateSet([Gate("errors", Kind.RATE, 0.02)]), kept)
    with pytest.raises(ValueError, match="format 7"):
        record.load(GATES, {**kept, "format": 7})
    assert "start it again" in record.readable({**kept, "format": 7})
    assert "counted every answer" in record.readable({**kept, "format": 1})
    assert not record.readable(None)
    assert not record.readable(kept)
