"""The simulated fleet against queues whose waits are known, and against bounds that no queue passes."""

from __future__ import annotations

from math import factorial

import numpy as np
import pytest

from benchmarks.sizing.costs import Costs
from benchmarks.sizing.fleet import Fleet, Load, simulate, zipf

# Only replicas cost something, one request a batch, nothing on its way: a queue in front of so many servers.
SERVICE_US = 1_000.0
SERVERS_ONLY = Costs(0.0, 0.0, 0.0, SERVICE_US, 0.0)
REAL = Costs(7.0, 6.0, 60.0, 70.0, 0.5)


def servers(count: int, *, irregular: bool, in_flight: int = 1) -> Fleet:
    return Fleet(SERVERS_ONLY, workers=1, replicas=count, max_rows=1, in_flight=in_flight, irregular=irregular)


def wait_us(fleet: Fleet, utilisation: float) -> float:
    rate = utilisation * fleet.replicas / SERVICE_US * 1e6
    runs = [simulate(fleet, Load(rate, requests=20_000, seed=seed)) for seed in range(4)]
    return float(np.mean([run.latencies_us.mean() for run in runs])) - SERVICE_US


def erlang_wait_us(servers: int, utilisation: float) -> float:
    """M/M/c: Erlang's C over the rate at which a full system empties."""
    load = utilisation * servers
    full = load**servers / factorial(servers) / (1 - utilisation)
    waits = full / (sum(load**k / factorial(k) for k in range(servers)) + full)
    return waits * SERVICE_US / (servers * (1 - utilisation))


@pytest.mark.parametrize(("utilisation", "in_flight"), [(0.4, 1), (0.7, 1), (0.7, 10_000)])
def test_one_server_of_a_fixed_time_has_the_wait_of_pollaczek_and_khinchine(utilisation: float, in_flight: int) -> None:
    """Whether requests wait in the worker or at the replica."""
    known = utilisation * SERVICE_US / (2 * (1 - utilisation))
    assert wait_us(servers(1, irregular=False, in_flight=in_flight), utilisation) == pytest.approx(known, rel=0.06)


@pytest.mark.parametrize(("count", "utilisation"), [(1, 0.6), (4, 0.7)])
def test_servers_of_exponential_times_have_erlang_s_wait(count: int, utilisation: float) -> None:
    known = erlang_wait_us(count, utilisation)
    assert wait_us(servers(count, irregular=True), utilisation) == pytest.approx(known, rel=0.12)


def test_cores_are_busy_for_what_the_work_costs() -> None:
    run = simulate(Fleet(REAL, workers=2, replicas=2), Load(40_000, requests=20_000))
    batches = 40_000 / run.rows
    assert run.worker_busy == pytest.approx((13 * 40_000 + 60 * batches) / 2 / 1e6, rel=0.05)
    assert run.replica_busy == pytest.approx((0.5 * 40_000 + 70 * batches) / 2 / 1e6, rel=0.05)


def test_a_lone_caller_pays_each_step_once() -> None:
    run = simulate(Fleet(REAL, workers=1, replicas=1), Load(callers=1, requests=100))
    assert np.allclose(run.latencies_us, 7 + 6 + 60 + 70.5)
    assert run.rows == 1


def test_callers_who_wait_fill_the_slowest_part_and_no_more() -> None:
    run = simulate(Fleet(REAL, workers=1, replicas=1), Load(callers=256, requests=20_000))
    assert 0.95 < run.worker_busy <= 1
    assert run.per_second == pytest.approx(1e6 / (13 + 60 / run.rows), rel=0.05)


def test_more_load_makes_larger_batches() -> None:
    fleet = Fleet(REAL, workers=1, replicas=1)
    calm, busy = (simulate(fleet, Load(rate, requests=20_000)).rows for rate in (5_000, 50_000))
    assert calm < 2 < busy <= fleet.max_rows


def test_requests_of_many_models_run_in_smaller_batches() -> None:
    fleet = Fleet(REAL, workers=2, replicas=1)
    one, many = (simulate(fleet, Load(callers=256, requests=10_000, models=count)).rows for count in (1, 1_000))
    assert many < one / 4


def test_the_same_seed_is_the_same_run_and_another_one_another() -> None:
    fleet = Fleet(REAL, workers=2, replicas=2, irregular=True)
    first, again, other = (simulate(fleet, Load(30_000, requests=2_000, seed=seed)) for seed in (1, 1, 2))
    assert np.array_equal(first.latencies_us, again.latencies_us)
    assert not np.array_equal(first.latencies_us, other.latencies_us)


def test_shares_of_models_fall_with_their_rank_and_are_everything() -> None:
    shares = zipf(1_000)
    assert shares.sum() == pytest.approx(1)
    assert shares[0] / shares[1] == pytest.approx(2**1.1)
