"""Each pool hosts what the routing table says it hosts; a version under trial has a pool of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from serving.config.first_table import first_table
from serving.config.settings import Settings
from serving.errors import BadRequest
from serving.inference import VersionKey
from serving.pool.pool_spec import PoolSpec
from serving.processes.engine_pools import (
    beside,
    canary_cpus,
    changed_pools,
    later_cpus,
    pools_at,
    remedy,
    restarted,
    room_for,
)
from serving.processes.model_sources import model_sources
from serving.processes.pool_room import REMEDY
from serving.processes.session_plan import ServedModel
from serving.processes.start_message import StartMessage

TRIAL = {"a": {"pool": "big", "routes": {"stable": 1, "canary": 2}}}
POOLS = {"big": {"min_replicas": 3, "max_replicas": 3, "num_cpus": 0.5, "memory_mb": 128, "slots": 2}}


@pytest.fixture
def models(tmp_path: Path) -> list[ServedModel]:
    keys = (("a", 1), ("a", 2), ("b", 1))
    return [ServedModel(name, number, str(tmp_path / name / str(number) / "model.onnx")) for name, number in keys]


def hosted(pool: PoolSpec) -> list[VersionKey]:
    return [source.key for source in pool.sources]


def test_a_trial_pool_hosts_the_trial_alone_and_its_parent_hosts_the_rest(models: list[ServedModel]) -> None:
    settings = Settings.model_validate({"pools": POOLS, "models": TRIAL})
    pools = {pool.name: hosted(pool) for pool in pools_at(PoolSpec("", ()), settings, models)}
    assert pools == {
        "big": [VersionKey("a", 1)],
        "big-trial": [VersionKey("a", 2)],
        "default": [VersionKey("b", 1)],
    }


def test_a_trial_pool_has_its_parents_size(models: list[ServedModel]) -> None:
    settings = Settings.model_validate({"pools": POOLS, "models": TRIAL})
    sizes = {
        pool.name: (pool.replicas, pool.num_cpus, pool.memory_mb, pool.slots)
        for pool in pools_at(PoolSpec("", ()), settings, models)
    }
    assert sizes["big-trial"] == sizes["big"] == (3, 0.5, 128, 2)


def test_a_pool_with_more_replicas_at_most_than_at_least_follows_the_load(models: list[ServedModel]) -> None:
    spread = {"min_replicas": 2, "max_replicas": 5, "scale_up_delay_s": 3, "scale_down_delay_s": 60}
    settings = Settings.model_validate({"pools": {"big": spread}, "models": TRIAL})
    pools = {pool.name: pool for pool in pools_at(PoolSpec("", ()), settings, models)}
    for name in ("big", "big-trial"):
        assert pools[name].scales
        assert (pools[name].replicas, pools[name].most_replicas) == (2, 5)
        assert (pools[name].scale_up_delay_s, pools[name].scale_down_delay_s) == (3, 60)
    assert not pools["default"].scales


def test_replicas_that_are_reached_over_rays_handle_have_no_stream(models: list[ServedModel]) -> None:
    handle = {"big": {**POOLS["big"], "transport": "serve_handle"}}
    settings = Settings.model_validate({"pools": handle, "models": TRIAL})
    streams = {pool.name: pool.stream for pool in pools_at(PoolSpec("", ()), settings, models)}
    assert streams == {"big": False, "big-trial": False, "default": True}


@pytest.mark.parametrize("kind", ["ray", "in-process"])
@pytest.mark.parametrize("pool", ["big", "gateway"])
def test_every_version_is_where_the_table_looks_for_it(models: list[ServedModel], kind: str, pool: str) -> None:
    trial = {"a": {**TRIAL["a"], "pool": pool}}
    settings = Settings.model_validate({"engine": {"kind": kind}, "pools": POOLS, "models": trial})
    table = first_table(settings, [VersionKey(served.model, served.version) for served in models])
    for route in table.routes.values():
        for served in route.served:
            sources = [source.key for source in model_sources(settings, models, served.pool)]
            assert VersionKey(route.model, served.version) in sources


def test_without_a_trial_there_is_no_pool_for_one(models: list[ServedModel]) -> None:
    assert [pool.name for pool in pools_at(PoolSpec("", ()), Settings(), models)] == ["default"]
    assert [source.key for source in model_sources(Settings(), models, "default")] == [
        VersionKey(served.model, served.version) for served in models
    ]


def test_only_pools_that_host_something_else_are_changed_and_one_without_versions_stays(
    models: list[ServedModel],
) -> None:
    settings = Settings.model_validate({"pools": POOLS, "models": TRIAL})
    start = StartMessage("s", "ray", "/r", "/r", config=settings.model_dump(mode="json"))
    running = {pool.name: pool for pool in changed_pools({}, start, models)}
    changed = changed_pools(running, start, [served for served in models if served.model == "a"])
    assert [(pool.name, hosted(pool)) for pool in changed] == [("default", [])]
    assert changed_pools(running, start, models) == ()


def test_a_pool_that_does_not_run_is_begun_as_at_the_start_for_the_first_version_in_it(
    models: list[ServedModel],
) -> None:
    settings = Settings.model_validate({"pools": POOLS, "models": TRIAL})
    start = StartMessage("s", "ray", "/r", "/r", config=settings.model_dump(mode="json"))
    running = {pool.name: pool for pool in changed_pools({}, start, models[:1])}
    assert list(running) == ["big"]
    (begun,) = changed_pools(running, start, models[:2])
    assert (begun.name, hosted(begun)) == ("big-trial", [VersionKey("a", 2)])
    assert replace(begun, name="big", sources=running["big"].sources) == running["big"]


def test_the_cluster_has_room_for_each_pool_that_may_be_begun_later(models: list[ServedModel]) -> None:
    settings = Settings.model_validate({"pools": POOLS, "models": TRIAL})
    start = StartMessage("s", "ray", "/r", "/r", config=settings.model_dump(mode="json"))
    running = [PoolSpec("big", ())]
    # Three replicas of the trial with half a processor each, and one of default.
    assert later_cpus(start, running) == 3 * 0.5 + 1.0
    wide = {"pools": {"big": {**POOLS["big"], "max_replicas": 5}}, "models": TRIAL}
    config = Settings.model_validate(wide).model_dump(mode="json")
    assert later_cpus(replace(start, config=config), running) == 5 * 0.5 + 1.0
    assert later_cpus(start, [*running, PoolSpec("big-trial", ()), PoolSpec("default", ())]) == 0


def test_a_canarys_pool_hosts_it_alone_as_large_as_its_rollout_says_and_its_home_hosts_it_as_well(
    models: list[ServedModel],
) -> None:
    settings = Settings.model_validate({"pools": POOLS, "models": {"a": {"pool": "big"}}})
    own = replace(models[1], own_replicas=2, own_most=2, own_cpus=0.25, own_memory_mb=64)
    pools = {pool.name: pool for pool in pools_at(PoolSpec("", ()), settings, [models[0], own])}
    assert {name: hosted(pool) for name, pool in pools.items()} == {
        "a-canary": [VersionKey("a", 2)],
        "big": [VersionKey("a", 1), VersionKey("a", 2)],
    }
    canary = pools["a-canary"]
    assert (canary.replicas, canary.scales, canary.num_cpus, canary.memory_mb) == (2, False, 0.25, 64)
    # All else is as in the pool that it stands beside.
    assert canary.slots == pools["big"].slots == 2


def test_where_a_canary_finds_no_room_it_is_said_who_has_it_and_how_to_need_less() -> None:
    running = [PoolSpec("big", (), replicas=2, num_cpus=1.5), PoolSpec("small", (), num_cpus=0.5)]
    said = remedy(PoolSpec("a-canary", ()), running)
    assert "big with 3, small with 0.5" in said
    assert "isolation: shared" in said
    assert remedy(PoolSpec("big", ()), running) == REMEDY


def test_the_cluster_has_room_for_a_canary_of_the_largest_pool(models: list[ServedModel]) -> None:
    settings = Settings.model_validate({"pools": POOLS, "models": TRIAL})
    start = StartMessage("s", "ray", "/r", "/r", config=settings.model_dump(mode="json"))
    assert canary_cpus(start) == 3 * 0.5


def test_beside_what_it_is_to_host_a_pool_keeps_what_it_hosts(models: list[ServedModel]) -> None:
    settings = Settings.model_validate({"pools": POOLS})
    now = {pool.name: pool for pool in pools_at(PoolSpec("", ()), settings, models[:2])}
    moved = Settings.model_validate({"pools": POOLS, "models": {"b": {"pool": "big"}}})
    wanted = pools_at(PoolSpec("", ()), moved, [models[0], models[2]])
    assert {pool.name: hosted(pool) for pool in beside(now, wanted)} == {
        "big": [VersionKey("b", 1)],
        "default": [VersionKey("a", 1), VersionKey("a", 2)],
    }


def test_a_pool_that_runs_needs_room_for_what_it_adds_and_for_one_replica_where_all_are_to_be_others() -> None:
    now = {"p": PoolSpec("p", (), replicas=2, num_cpus=1.0, memory_mb=100)}

    def needed(**other: object) -> tuple[float, int]:
        (found,) = room_for(now, [replace(now["p"], **other)])  # type: ignore[arg-type]
        return found.replicas * found.num_cpus, found.replicas * found.memory_mb

    assert needed(most_replicas=9) == (0, 0)
    assert needed(replicas=5) == (3, 300)
    assert needed(replicas=1) == (0, 0)
    assert needed(look_us=1) == (1, 100)
    assert needed(num_cpus=4.0) == (6, 100)
    assert needed(num_cpus=0.5) == (0.5, 100)
    (begun,) = room_for({}, [now["p"]])
    assert begun == now["p"]


def test_a_pool_whose_replicas_were_replaced_stays_so_when_it_hosts_something_else(models: list[ServedModel]) -> None:
    settings = Settings.model_validate({"pools": POOLS, "models": TRIAL})
    start = StartMessage("s", "ray", "/r", "/r", config=settings.model_dump(mode="json"))
    running = {pool.name: pool for pool in changed_pools({}, start, models)}
    running["big"] = restarted(running, "big")
    assert running["big"].restarts == 1
    assert [one.name for one in changed_pools(running, start, models)] == []
    (added,) = room_for({"big": replace(running["big"], restarts=0)}, [running["big"]])
    assert added.replicas * added.num_cpus == running["big"].num_cpus
    with pytest.raises(BadRequest, match=r"^no pool 'nowhere' runs .* there are big, big-trial, default$"):
        restarted(running, "nowhere")
