"""Counts of a rollout in a real Valkey: added once, keys counted once over all workers, late ones apart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import redis

from serving.errors import Unavailable
from serving.inference import VersionKey
from serving.processes.worker_faults import WorkerFaults
from serving.routing.table import Route, RouteTable, Served, Split, Trial
from serving.state import keys
from serving.state.rollout_counts import CANARY, STABLE, ArmCounts, CountsWriter, RolloutCounts, StratumName
from tests.integration.valkey_server import Server

pytestmark = pytest.mark.usefixtures("patient")

STRATUM = StratumName(3, 7, 1, 500)


@pytest.fixture
async def writer(server: Server) -> AsyncIterator[CountsWriter]:
    writer = CountsWriter(server.url, "worker-1")
    yield writer
    await writer.stop()


@pytest.fixture
async def other(server: Server) -> AsyncIterator[CountsWriter]:
    writer = CountsWriter(server.url, "worker-2")
    yield writer
    await writer.stop()


def counts_of(server: Server) -> RolloutCounts:
    return RolloutCounts(server.client(), "r-1")


def part(arm: int = CANARY, stratum: StratumName = STRATUM, requests: int = 5, **events: int) -> ArmCounts:
    return ArmCounts(stratum, arm, sticky=False, requests=requests, events=events)


def keyed(
    *firsts: tuple[str, str, int], arm: int = CANARY, stratum: StratumName = STRATUM, sampled: bool = True
) -> ArmCounts:
    told = [(*first, sampled, False) for first in firsts]
    return ArmCounts(stratum, arm, sticky=True, requests=1, events={"errors": 1}, firsts=told)


async def test_counts_of_workers_add_up(server: Server, writer: CountsWriter, other: CountsWriter) -> None:
    await writer.add("r-1", 1, [part(errors=2), part(STABLE, errors=1)])
    await other.add("r-1", 1, [part(errors=3)])
    (fields,) = counts_of(server).read().values()
    assert (fields["0|errors"], fields["2|errors"], fields["4|errors"], fields["1|errors"]) == (5, 5, 5, 1)
    assert (fields["requests|0"], fields["requests|1"], fields["keys|0"]) == (10, 5, 10)


async def test_a_flush_that_is_sent_again_counts_once(server: Server, writer: CountsWriter) -> None:
    assert await writer.add("r-1", 1, [part(errors=2)])
    assert not await writer.add("r-1", 1, [part(errors=2)])
    assert counts_of(server).read()[STRATUM]["4|errors"] == 2


async def test_a_key_counts_once_over_all_workers_and_arms(
    server: Server, writer: CountsWriter, other: CountsWriter
) -> None:
    await writer.add("r-1", 1, [keyed(("keys", "keys", 11), ("errors", "errors", 11))])
    await other.add(
        "r-1", 1, [keyed(("keys", "keys", 11), ("errors", "errors", 11), ("errors", "errors", 12), arm=STABLE)]
    )
    fields = counts_of(server).read()[STRATUM]
    assert (fields["0|errors"], fields["1|errors"]) == (1, 1)
    assert (fields["keys|0"], fields.get("keys|1", 0)) == (1, 0)
    assert (fields["4|errors"], fields["5|errors"]) == (1, 1)


async def test_in_the_next_step_a_key_counts_again_for_the_step_alone(server: Server, writer: CountsWriter) -> None:
    later = StratumName(9, 8, 2, 1_000)
    await writer.add("r-1", 1, [keyed(("keys", "keys", 11), ("errors", "errors", 11))])
    await writer.add("r-1", 2, [keyed(("keys", "keys", 11), ("errors", "errors", 11), stratum=later)])
    found = counts_of(server).read()
    assert list(found) == [STRATUM, later]
    assert "0|errors" not in found[later]
    assert (found[later]["2|errors"], found[later]["keys|0"]) == (1, 1)


async def test_only_the_first_score_of_a_key_counts_whatever_its_bin(server: Server, writer: CountsWriter) -> None:
    await writer.add("r-1", 1, [keyed(("scores", "scores.2", 11), ("scores", "scores.4", 11))])
    fields = counts_of(server).read()[STRATUM]
    assert (fields["0|scores.2"], fields.get("0|scores.4", 0)) == (1, 0)


async def test_keys_beyond_the_sample_count_for_the_rollout_until_there_are_many_and_never_for_the_step(
    server: Server, writer: CountsWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.state.rollout_counts.MOST_KEYS", 3)
    for number in range(1, 6):
        await writer.add("r-1", number, [keyed(("errors", "errors", number), sampled=False)])
    fields = counts_of(server).read()[STRATUM]
    assert (fields["0|errors"], fields.get("2|errors", 0)) == (3, 0)
    await writer.add("r-1", 6, [keyed(("errors", "errors", 6))])
    fields = counts_of(server).read()[STRATUM]
    assert (fields["0|errors"], fields["2|errors"]) == (4, 1)


async def test_runs_are_counted_in_each_kind_of_row_as_the_worker_says(
    server: Server, writer: CountsWriter, other: CountsWriter
) -> None:
    runs = {"ran.0": (1, 3, 5), "slow.2.0": (0, 0, 2)}
    for sticky, arm, number in ((True, CANARY, 1), (False, STABLE, 2)):
        await writer.add("r-1", number, [ArmCounts(STRATUM, arm, sticky, requests=5, events={"errors": 1}, runs=runs)])
    await other.add("r-1", 1, [ArmCounts(STRATUM, CANARY, sticky=True, requests=5, events={}, runs=runs)])
    fields = counts_of(server).read()[STRATUM]
    assert [fields.get(f"{row}|ran.0", 0) for row in range(6)] == [2, 1, 6, 3, 10, 5]
    assert [fields.get(f"{row}|slow.2.0", 0) for row in range(6)] == [0, 0, 0, 0, 4, 2]
    assert [fields.get(f"{row}|errors", 0) for row in range(6)] == [0, 1, 0, 1, 1, 1]


async def test_what_is_no_evidence_of_a_key_counts_for_the_step_and_leaves_the_key_new(
    server: Server, writer: CountsWriter
) -> None:
    slow = keyed(("slow.0", "slow.0.3", 11))
    of_step = replace(slow, firsts=[(*first[:4], True) for first in slow.firsts])
    await writer.add("r-1", 1, [of_step])
    fields = counts_of(server).read()[STRATUM]
    assert (fields.get("0|slow.0.3", 0), fields["2|slow.0.3"]) == (0, 1)
    for number in (2, 3):
        await writer.add("r-1", number, [slow, of_step])
    fields = counts_of(server).read()[STRATUM]
    assert (fields["0|slow.0.3"], fields["2|slow.0.3"]) == (1, 1)


async def test_keys_are_counted_for_the_controller_and_those_of_a_step_that_is_over_are_forgotten(
    server: Server, writer: CountsWriter
) -> None:
    counts = counts_of(server)
    assert counts.keys() == 0
    await writer.add("r-1", 1, [keyed(("split", "split", 11), ("split", "split", 12), ("keys", "keys", 11))])
    counts.forget_step(2)
    assert (counts.keys(), len(server.client().keys("sluice:rollout:*:step:1:*"))) == (2, 2)
    counts.forget_step(1)
    assert (counts.keys(), server.client().keys("sluice:rollout:*:step:*")) == (2, [])


async def test_a_slice_that_is_closed_takes_no_more(server: Server, writer: CountsWriter) -> None:
    counts = counts_of(server)
    await writer.add("r-1", 1, [part(errors=1)])
    server.client().set(keys.closed("r-1"), STRATUM.slice)
    await writer.add("r-1", 2, [part(errors=1)])
    await writer.add("r-1", 3, [part(stratum=StratumName(4, 7, 1, 500))])
    assert list(counts.read()) == [StratumName(4, 7, 1, 500)]
    assert counts.late() == 5


async def test_crashes_are_counted_by_arm_and_nothing_is_left_after_all(server: Server, writer: CountsWriter) -> None:
    counts = counts_of(server)
    await writer.add("r-1", 1, [ArmCounts(STRATUM, CANARY, sticky=False, requests=0, events={}, crashes=2)])
    assert (counts.crashes(CANARY), counts.crashes(STABLE)) == (2, 0)
    counts.clear()
    assert server.client().keys("sluice:rollout:*") == []


async def test_workers_that_died_are_counted_by_arm_once_the_redis_is_there_and_are_in_no_slice(server: Server) -> None:
    trial = Trial("r-1", 2, 0, 500, sticky=False, began_s=0.0, count_from_s=0.0)
    splits = (Split("stable", 1, 9_500), Split("canary", 2, 500))
    route = Route("m", "salt", splits, (Served(1, "gateway"), Served(2, "gateway")), trial)
    asked: list[int] = []

    async def table() -> RouteTable:
        asked.append(1)
        if len(asked) == 1:
            raise Unavailable("not yet")
        return RouteTable(1, {"m": route})

    faults = WorkerFaults(server.url, again_after_s=0.01)
    faults.look_up_in(table)
    for version in (2, 1, 2, 7):
        faults.saw(VersionKey("m", version))
    counts = counts_of(server)
    for _ in range(1_000):
        if (counts.faults(CANARY), counts.faults(STABLE)) == (2, 1):
            break
        await asyncio.sleep(0.005)
    await faults.stop()
    assert (counts.faults(CANARY), counts.faults(STABLE)) == (2, 1)
    assert counts.read() == {}


async def test_of_all_workers_differences_the_largest_are_kept_once_each(
    server: Server, writer: CountsWriter, other: CountsWriter
) -> None:
    mine = [(float(size), f"mine {size}") for size in range(0, 30, 2)]
    theirs = [(float(size), f"theirs {size}") for size in range(1, 30, 2)]
    await writer.add("r-1", 1, [replace(part(), differences=mine)])
    await writer.add("r-1", 2, [replace(part(), differences=mine[-1:])])
    await other.add("r-1", 1, [replace(part(), differences=[*theirs, (1e300, "no number")])])
    found = counts_of(server).differences()
    assert found[:3] == ["no number", "theirs 29", "mine 28"]
    assert len(found) == len(set(found)) == 20


async def test_everything_of_a_rollout_goes_by_itself_in_the_end(server: Server, writer: CountsWriter) -> None:
    await writer.add("r-1", 1, [keyed(("keys", "keys", 11), ("errors", "errors", 11)), part()])
    client: redis.Redis = server.client()
    assert all(client.pttl(key) > 0 for key in client.keys("sluice:rollout:*"))


async def test_a_server_that_is_away_is_told(server: Server, writer: CountsWriter) -> None:
    server.kill()
    with pytest.raises(Unavailable, match="did not take the counts"):
        await writer.add("r-1", 1, [part()])
