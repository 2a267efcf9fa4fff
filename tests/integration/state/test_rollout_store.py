"""Rollouts in a real Valkey: one writes at a time, what was replaced is refused, and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from serving.errors import InUse, Unavailable
from serving.state import keys
from serving.state.rollout_counts import ArmCounts, CountsWriter, StratumName
from serving.state.rollout_store import RolloutStore
from tests.integration.valkey_server import Server


@pytest.fixture
def store(server: Server) -> Iterator[RolloutStore]:
    store = RolloutStore(server.url)
    yield store
    store.stop()


def test_one_holder_at_a_time_and_numbers_that_grow(server: Server, store: RolloutStore) -> None:
    first = store.acquire("one")
    assert [store.acquire("two"), store.acquire("one")] == [0, first]
    server.client().delete(keys.CONTROLLER)
    assert [store.acquire("two"), store.acquire("one")] == [first + 1, 0]


def test_numbers_grow_also_over_a_server_that_came_back_empty(server: Server, store: RolloutStore) -> None:
    before = store.acquire("one")
    server.client().flushall()
    assert store.acquire("two") > before


async def test_the_keys_of_a_rollout_that_is_over_are_forgotten_with_the_next_one(
    server: Server, store: RolloutStore
) -> None:
    writer, number = CountsWriter(server.url, "w"), store.acquire("one")
    stratum = StratumName(0, 1, 0, 1_000)
    firsts = [("errors", "errors", 7, True, False)]
    seen = ArmCounts(stratum, 0, sticky=True, requests=1, events={"errors": 1}, firsts=firsts)
    for rollout_id in ("m-2-a", "m-2-a-shadow", "m-2-b", "m-2-b-keys"):
        await writer.add(rollout_id, 1, [seen])
    await writer.stop()
    for rollout_id, live in (("m-2-a", False), ("m-2-b", True)):
        store.save(number, {"id": rollout_id, "started_s": 1.0}, live=live, entry=None)
    store.drop_oldest()
    left = {keys.counted_as(name.decode()) for name in server.client().scan_iter("*seen*")}
    assert left == {"m-2-b", "m-2-b-keys"}
    assert store.counts("m-2-a", -1)[stratum]["0|errors"] == 1


def test_a_lease_runs_out_unless_it_is_renewed(server: Server, store: RolloutStore) -> None:
    store.acquire("one")
    assert 0 < server.client().pttl(keys.CONTROLLER) <= 5_000


def test_who_was_replaced_writes_nothing(server: Server, store: RolloutStore) -> None:
    old = store.acquire("one")
    store.save(old, {"id": "r", "step": 1}, live=True, entry={"what": "start"})
    server.client().delete(keys.CONTROLLER)
    new = store.acquire("two")
    store.save(new, {"id": "r", "step": 2}, live=True, entry={"what": "step"})
    with pytest.raises(InUse, match=f"controller {old} of rollouts was replaced"):
        store.save(old, {"id": "r", "step": 9}, live=True, entry={"what": "nonsense"})
    with pytest.raises(InUse):
        store.freeze(old, frozen=True)
    assert store.get("r") == {"id": "r", "step": 2}
    assert [entry["what"] for entry in store.audit("r")] == ["start", "step"]
    assert not store.frozen()


def test_a_slice_that_is_closed_stays_so_and_who_was_replaced_closes_none(server: Server, store: RolloutStore) -> None:
    old = store.acquire("one")
    store.close(old, "r", 7)
    store.close(old, "r", 3)  # a clock that was set back
    assert server.client().get(keys.closed("r")) == b"7"
    server.client().delete(keys.CONTROLLER)
    store.acquire("two")
    with pytest.raises(InUse, match=f"controller {old} of rollouts was replaced"):
        store.close(old, "r", 9)
    assert server.client().get(keys.closed("r")) == b"7"


def test_what_is_over_is_live_no_more_and_is_kept(store: RolloutStore) -> None:
    number = store.acquire("one")
    store.save(number, {"id": "r", "started_s": 1.0}, live=True, entry=None)
    assert [one["id"] for one in store.live()] == ["r"]
    store.save(number, {"id": "r", "started_s": 1.0}, live=False, entry=None)
    assert (store.live(), [one["id"] for one in store.all()]) == ([], ["r"])


def test_the_oldest_that_are_over_are_forgotten(store: RolloutStore) -> None:
    number = store.acquire("one")
    for place in range(203):
        store.save(number, {"id": f"r{place}", "started_s": float(place)}, live=place == 0, entry=None)
    store.drop_oldest()
    left = {one["id"] for one in store.all()}
    assert len(left) == 201
    assert {"r0", "r3", "r202"} <= left
    assert not {"r1", "r2"} & left


def test_frozen_holds_until_it_is_lifted(store: RolloutStore) -> None:
    number = store.acquire("one")
    store.freeze(number, frozen=True)
    assert store.frozen()
    store.freeze(number, frozen=False)
    assert not store.frozen()


def test_a_server_that_is_gone_is_told(server: Server, store: RolloutStore) -> None:
    server.kill()
    with pytest.raises(Unavailable, match="the control Redis, which keeps rollouts, does not answer"):
        store.acquire("one")
