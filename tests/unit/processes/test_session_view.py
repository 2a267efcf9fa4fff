"""What is told of a version: whether it can be asked, and if not, why."""

from __future__ import annotations

from typing import Any

from serving.processes.session_view import models_seen, pools_seen
from serving.routing.table import Route, RouteTable, Served, Split

HOSTED = {"batchable": True, "note": "", "inputs": [{"name": "x"}], "outputs": [{"name": "y"}]}
NOTHING_HOSTED = {"batchable": False, "note": "", "inputs": [], "outputs": []}
SPLITS = (Split("stable", 1, 9_000), Split("canary", 2, 1_000))
SERVED = (Served(1, "default"), Served(2, "default@2"), Served(3, "default"))
TABLE = RouteTable(1, {"m": Route("m", "salt", SPLITS, SERVED)})


def described(hosted: dict[str, Any], refused: dict[str, str], **pools: list[dict[str, Any]]) -> dict[str, Any]:
    return {"hosted": hosted, "refused": refused, "pools": pools}


def test_a_version_is_ready_refused_with_the_reason_or_waited_for() -> None:
    (model,) = models_seen(TABLE, described({"m/1": HOSTED}, {"m/2": "cut off; copy it again"}))
    assert (model["name"], model["default"]) == ("m", 1)
    ready, refused, waiting = model["versions"]
    assert ready == {
        "version": 1,
        "pool": "default",
        "state": "ready",
        "why": "",
        "variants": {"stable": 90.0},
        **HOSTED,
    }
    assert (refused["state"], refused["why"]) == ("refused", "cut off; copy it again")
    assert refused["variants"] == {"canary": 10.0}
    assert (waiting["state"], waiting["why"], waiting["variants"]) == ("waiting", "", {})
    for version in (refused, waiting):
        assert {name: version[name] for name in NOTHING_HOSTED} == NOTHING_HOSTED


def test_a_version_that_some_replica_hosts_is_ready_although_another_refused_it() -> None:
    (model,) = models_seen(TABLE, described({"m/1": HOSTED}, {"m/1": "no memory left"}))
    assert model["versions"][0]["state"] == "ready"


def test_pools_are_those_that_run_and_those_that_are_routed_to() -> None:
    replica = {"replica": "r1", "address": "/r1.sock", "state": "up", "rows": 3}
    pools = pools_seen(TABLE, described({}, {}, default=[replica], idle=[]), {"default": 1}, {"default": 3})
    assert pools == [
        {"name": "default", "versions": ["m/1", "m/3"], "replicas": [replica], "alive": 1, "wished": 3},
        {"name": "default@2", "versions": ["m/2"], "replicas": [], "alive": 0, "wished": None},
        {"name": "idle", "versions": [], "replicas": [], "alive": 0, "wished": None},
    ]
