"""The application that `serve run deployments.serve_app:app` deploys."""

from __future__ import annotations

import pytest

from tests.integration.ray.conftest import Cluster

pytestmark = pytest.mark.slow


def test_it_hosts_the_example_and_tells_so(driver: Cluster) -> None:
    from ray import serve

    from deployments.serve_app import build

    app = build({"SLUICE_POOLS__DEFAULT__NUM_CPUS": "0.1"})
    handle = serve.run(app, name="serve-app", route_prefix=None)
    try:
        told = handle.remote(None).result(timeout_s=60)
    finally:
        serve.delete("serve-app")
    assert sorted(told) == ["default"]
    assert sorted(told["default"]["hosted"]) == ["flight-delay/1", "flight-delay/2"]
    assert told["default"]["refused"] == {}


def test_the_address_of_the_node_that_builds_it_is_not_told_to_replicas_on_others(driver: Cluster) -> None:
    del driver
    from deployments.serve_app import place_of

    environment = {"SLUICE_POOL_SECRET": "0123456789abcdef", "SLUICE_POOL_HOST": "10.1.2.3"}
    place = place_of(environment, "redis://control:6379/0")
    assert (place.stream, place.control_url) == (True, "redis://control:6379/0")
    assert "10.1.2.3" not in repr(place)


def test_a_pool_runs_on_the_nodes_of_the_group_of_its_name_and_others_anywhere(driver: Cluster) -> None:
    del driver
    from deployments.serve_app import in_its_group
    from serving.pool.pool_spec import PoolSpec
    from serving.pool.replica import application

    groups = ["small", "large"]
    placed = [in_its_group(PoolSpec(name, ()), groups) for name in ("small", "large-trial", "other")]
    assert [pool.node_resource for pool in placed] == ["pool-small", "pool-large", ""]
    asked = [(application(pool)._bound_deployment.ray_actor_options or {}).get("resources") for pool in placed]
    assert asked == [{"pool-small": 0.0001}, {"pool-large": 0.0001}, None]
