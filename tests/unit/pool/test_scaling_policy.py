"""The policy as Serve calls it: what replicas reported, at which time, and what becomes of the decision."""

from __future__ import annotations

import bisect
import json
from dataclasses import asdict, dataclass, field
from typing import Any

import pytest

from serving.pool.replica_load import ReplicaLoad
from serving.pool.scaling import Bounds
from serving.pool.scaling_policy import ScalingPolicy
from serving.wire.waits_frame import Waits

WAITS = ReplicaLoad(1.0, Waits(0.034, 0.02, 0.02, 7))
QUIET = ReplicaLoad(0.1, Waits())


@dataclass
class Point:
    timestamp: float
    value: float


@dataclass
class Pool:
    """Serve's side: what it keeps of each replica's reports, and the policy that it asks."""

    target_num_replicas: int = 1
    now: float = 50.0
    wall: float = 1e9
    raw_metrics: dict[str, dict[Any, list[Point]]] = field(default_factory=dict)
    running_replicas: list[str] = field(default_factory=list)
    noted: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        bounds = asdict(Bounds(1, 4, 2.0, 6.0))
        self.policy = ScalingPolicy("big", bounds, clock=lambda: self.now, note=self.note)

    def note(self, key: str, value: str) -> None:
        self.noted.append((key, json.loads(value)))

    def report(self, **loads: ReplicaLoad) -> None:
        """As Serve takes reports: each replica's in the order of its wall clock."""
        self.running_replicas = list(loads)
        for replica, load in loads.items():
            for name, value in load.stats().items():
                points = self.raw_metrics.setdefault(name, {}).setdefault(replica, [])
                bisect.insort(points, Point(self.wall, value), key=lambda point: point.timestamp)

    def ask(self) -> int:
        self.target_num_replicas, _ = self.policy(self)
        return self.target_num_replicas

    def pass_s(self, seconds: float) -> None:
        self.now += seconds
        self.wall += seconds


@pytest.fixture
def pool() -> Pool:
    return Pool()


def test_reports_that_agree_for_long_enough_change_the_number(pool: Pool) -> None:
    for _ in range(2):
        pool.report(a=WAITS)
        assert pool.ask() == 1
        pool.pass_s(1.0)
    pool.report(a=WAITS)
    assert pool.ask() == 2
    assert pool.noted[-1] == (
        "scaling:big",
        {"wished": 2, "text": "pool big: 1 -> 2 replicas: requests wait 34 ms, the goal is 20 ms"},
    )


def test_a_decision_is_noted_once_and_the_number_at_the_start_without_a_reason(pool: Pool) -> None:
    for _ in range(5):
        pool.report(a=QUIET)
        pool.ask()
        pool.pass_s(1.0)
    assert pool.noted == [("scaling:big", {"wished": 1, "text": ""})]


def test_reports_that_come_no_more_are_not_believed_for_long(pool: Pool) -> None:
    pool.target_num_replicas = 2
    pool.report(a=QUIET, b=QUIET)
    for _ in range(30):
        assert pool.ask() == 2
        pool.pass_s(1.0)


def test_one_replica_that_reports_no_more_keeps_the_others(pool: Pool) -> None:
    pool.target_num_replicas = 2
    pool.report(a=QUIET, b=QUIET)
    for _ in range(30):
        pool.report(a=QUIET)
        pool.running_replicas = ["a", "b"]
        assert pool.ask() == 2
        pool.pass_s(1.0)


# Back: Serve keeps the last report before the step until the clock is there again, and that is believed no more. Two of
# five seconds are over then, and to take one away takes six.
@pytest.mark.parametrize(
    ("step_s", "then"), [(86_400.0, [2, 2, 2, 2, 1]), (-86_400.0, [2] * 20), (-8.0, [2] * 13 + [1])]
)
def test_a_wall_clock_that_steps_back_keeps_the_number_until_it_is_there_again(
    pool: Pool, step_s: float, then: list[int]
) -> None:
    pool.target_num_replicas = 2
    pool.report(a=QUIET, b=QUIET)
    assert pool.ask() == 2
    pool.pass_s(1.0)
    pool.wall += step_s
    pool.report(a=QUIET, b=QUIET)
    assert pool.ask() == 2
    asked = []
    for _ in then:
        pool.pass_s(1.0)
        pool.report(a=QUIET, b=QUIET)
        asked.append(pool.ask())
    assert asked == then


def test_replicas_that_are_new_since_a_step_back_are_heard(pool: Pool) -> None:
    pool.report(a=WAITS)
    pool.ask()
    pool.wall -= 86_400.0
    for _ in range(9):
        pool.pass_s(1.0)
        pool.report(a=WAITS)
        pool.ask()
    before = pool.target_num_replicas
    for _ in range(2):
        pool.report(a=WAITS, b=WAITS)
        assert pool.ask() == before
        pool.pass_s(1.0)
    pool.report(a=WAITS, b=WAITS)
    assert pool.ask() > before


def test_reports_of_another_release_are_no_reports(pool: Pool) -> None:
    pool.running_replicas = ["a"]
    pool.raw_metrics = {"running": {"a": [Point(1.0, 9.0)]}, "busy": {"a": [Point(1.0, 1.0)]}, "told": {"a": []}}
    for _ in range(9):
        assert pool.ask() == 1
        pool.pass_s(1.0)


def test_a_decision_that_cannot_be_noted_holds(pool: Pool) -> None:
    def note(key: str, value: str) -> None:
        raise ConnectionError(key + value)

    policy = ScalingPolicy("big", asdict(Bounds(1, 4, 0.0, 6.0)), clock=lambda: pool.now, note=note)
    pool.report(a=WAITS)
    assert policy(pool)[0] == 2
