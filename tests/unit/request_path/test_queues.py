"""The queues of a worker: what a version's row says of them, and what they share."""

from __future__ import annotations

import pytest

from serving.deadline import Timer
from serving.errors import Overloaded, ServingError
from serving.inference import Hosted, Request
from serving.request_path.queues import Queues
from serving.routing.table import Served
from serving.testing.backend import KEY, SIGNATURE, EchoBackend


class StillTimers:
    def time(self) -> float:
        return 0.0

    def call_at(self, when: float, callback: object) -> Timer:
        del when, callback
        return self

    def cancel(self) -> None:
        """Nothing to do."""


class Sharing(EchoBackend):
    """A backend whose versions share two slots on one server."""

    def shared_slots(self) -> tuple[int, int]:
        return 2, 1


def queues() -> Queues:
    def refuse(request: Request, why: ServingError) -> None:
        request.reply(why)

    timers = StillTimers()
    return Queues(timers, refuse, timers.time)


@pytest.mark.parametrize(
    ("slo_us", "deadline_ms", "goal_s"), [(20_000, 1_000, 0.02), (0, 1_000, 1.0), (5_000_000, 1_000, 1.0)]
)
def test_the_goal_is_the_models_own_and_never_beyond_its_deadline(slo_us: int, deadline_ms: int, goal_s: float) -> None:
    made = queues().make(Served(1, "pool", latency_slo_us=slo_us, deadline_ms=deadline_ms), HOSTED, EchoBackend())
    assert made.pace.goal_s == goal_s


@pytest.mark.parametrize(
    ("configured", "of_the_model", "batchable", "most"),
    [(8, 0, True, 8), (8, 4, True, 4), (4, 8, True, 4), (8, 8, False, 1)],
)
def test_a_batch_has_no_more_rows_than_the_table_and_the_model_allow_and_one_where_rows_do_not_run_together(
    configured: int, of_the_model: int, batchable: bool, most: int
) -> None:
    hosted = Hosted(KEY, SIGNATURE, batchable, max_rows=of_the_model)
    made = queues().make(Served(1, "pool", max_rows=configured), hosted, EchoBackend())
    assert made.pace.most_rows == most


def test_queues_of_one_pool_share_its_slots_and_those_of_a_version_alone_do_not() -> None:
    worker, pool = queues(), Sharing()
    first, second = (worker.make(Served(1, "pool"), HOSTED, pool) for _ in range(2))
    worker.resize(pool)
    assert first._shares is second._shares
    assert first._shares.short.slots == 2
    alone, other = (worker.make(Served(1, "pool"), HOSTED, EchoBackend()) for _ in range(2))
    assert alone._shares is not other._shares


def test_the_rows_of_all_queues_are_bounded_together() -> None:
    worker = queues()
    worker.total.most = 3
    first, second = (worker.make(Served(1, "pool"), HOSTED, EchoBackend()) for _ in range(2))
    for queue in (first, second):
        queue.set_slots(1, 1)
    worker.total.rows = 3
    assert isinstance(first.refusal(1, 8), Overloaded)
    assert isinstance(second.refusal(1, 8), Overloaded)
    worker.total.rows = 2
    assert second.refusal(1, 8) is None


HOSTED = Hosted(KEY, SIGNATURE, batchable=True)
