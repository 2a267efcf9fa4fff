"""What KubeRay's operator needs of the RayService, and who reaches its pods, as the chart renders them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from serving.processes.ray_environment import environment
from tests.integration.chart.helm import CHART, SHAPES, helm, pods, rendered

POOLS = [shape for shape in SHAPES if any(one["kind"] == "RayService" for one in rendered(shape))]
PRODUCTION = CHART / "ci" / "production-values.yaml"
ALIKE = ("RAY_worker_niceness", "RAY_USAGE_STATS_ENABLED")
OPERATOR = {
    "namespaceSelector": {},
    "podSelector": {"matchLabels": {"app.kubernetes.io/component": "kuberay-operator"}},
}


@pytest.mark.parametrize("shape", POOLS, ids=lambda path: path.stem)
def test_a_head_has_a_token_of_kubernetes_where_an_autoscaler_needs_one_and_nothing_else_has(shape: Path) -> None:
    cluster = found(shape, "RayService")["spec"]["rayClusterConfig"]
    head = cluster["headGroupSpec"]["template"]["spec"]
    assert head["automountServiceAccountToken"] is cluster["enableInTreeAutoscaling"]
    others = [pod["spec"] for pod in pods(rendered(shape)) if pod["spec"] != head]
    assert not any(pod["automountServiceAccountToken"] for pod in others)


@pytest.mark.parametrize("shape", POOLS, ids=lambda path: path.stem)
def test_replicas_know_their_pods_address_and_run_at_the_niceness_of_a_session(shape: Path) -> None:
    nodes = [pod["spec"] for pod in pods(rendered(shape)) if pod["spec"]["containers"][0]["name"].startswith("ray-")]
    assert len(nodes) >= 2
    for node in nodes:
        given = {one["name"]: one.get("value", one.get("valueFrom")) for one in node["containers"][0]["env"]}
        assert given["SLUICE_POOL_HOST"] == {"fieldRef": {"fieldPath": "status.podIP"}}
        assert {name: given[name] for name in ALIKE} == {name: environment(Path())[name] for name in ALIKE}


@pytest.mark.parametrize(("address", "tolerant"), [("gcs:6379", {"redisAddress": "gcs:6379"}), ("none", None)])
def test_replicas_outlive_the_head_unless_somebody_says_that_they_need_not(
    address: str, tolerant: dict[str, str] | None
) -> None:
    made = helm("template", "one", CHART, "--values", POOLS[0], "--set", f"ray.gcs.address={address}")
    (service,) = (one for one in yaml.safe_load_all(made.stdout) if one and one["kind"] == "RayService")
    assert service["spec"]["rayClusterConfig"].get("gcsFaultToleranceOptions") == tolerant


@pytest.mark.parametrize("shape", POOLS, ids=lambda path: path.stem)
def test_nodes_that_are_drained_take_one_worker_of_ray_at_a_time(shape: Path) -> None:
    workers = found(shape, "RayService")["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    budgets = [one["spec"] for one in rendered(shape) if one["kind"] == "PodDisruptionBudget"]
    (budget,) = (one for one in budgets if "ray.io/node-type" in one["selector"]["matchLabels"])
    assert budget["minAvailable"] == sum(group["minReplicas"] for group in workers) - 1
    labels = workers[0]["template"]["metadata"]["labels"] | {"ray.io/node-type": "worker"}
    assert budget["selector"]["matchLabels"].items() <= labels.items()


@pytest.mark.parametrize("shape", POOLS, ids=lambda path: path.stem)
def test_the_nodes_of_a_group_have_the_mark_by_which_the_pool_of_its_name_finds_them(shape: Path) -> None:
    cluster = found(shape, "RayService")["spec"]["rayClusterConfig"]
    groups = {group["groupName"]: group["rayStartParams"] for group in cluster["workerGroupSpecs"]}
    for name, parameters in groups.items():
        # Quoted for a shell, as KubeRay itself does it; KubeRay takes the quotes off, and knows no backslashes.
        assert parameters["resources"] == f"'{json.dumps({f'pool-{name}': 1})}'"
    assert "resources" not in cluster["headGroupSpec"]["rayStartParams"]
    for node in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        given = {one["name"]: one.get("value") for one in node["template"]["spec"]["containers"][0]["env"]}
        assert given["SLUICE_POOL_GROUPS"] == " ".join(sorted(groups))


@pytest.mark.parametrize("shape", POOLS, ids=lambda path: path.stem)
def test_an_autoscaler_beside_the_head_gains_no_rights(shape: Path) -> None:
    cluster = found(shape, "RayService")["spec"]["rayClusterConfig"]
    assert ("autoscalerOptions" in cluster) is cluster["enableInTreeAutoscaling"]
    if "autoscalerOptions" in cluster:
        context = cluster["autoscalerOptions"]["securityContext"]
        # The rest of what Kubernetes calls restricted stands in the pod's own context.
        assert context == {
            "allowPrivilegeEscalation": False,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        }
        pod = cluster["headGroupSpec"]["template"]["spec"]["securityContext"]
        assert pod["seccompProfile"] == {"type": "RuntimeDefault"}


def test_shapes_with_and_without_an_autoscaler_are_tried() -> None:
    scales = {found(shape, "RayService")["spec"]["rayClusterConfig"]["enableInTreeAutoscaling"] for shape in POOLS}
    assert scales == {True, False}


def test_a_way_of_upgrading_that_needs_more_than_the_chart_gives_is_refused() -> None:
    made = helm(
        "template", "one", CHART, "--values", PRODUCTION, "--set", "ray.upgrade=NewClusterWithIncrementalUpgrade"
    )
    assert made.returncode != 0
    assert "upgrade" in made.stderr


@pytest.mark.parametrize("shape", POOLS, ids=lambda path: path.stem)
def test_kuberays_operator_reaches_the_head_and_never_everybody(shape: Path) -> None:
    (dashboard,) = (rule for rule in rules(shape, "one-sluice-pools") if {"port": 8265} in rule.get("ports", []))
    assert OPERATOR in dashboard["from"]
    assert {"port": 8000} in dashboard["ports"]


def test_named_operators_reach_rays_ports_too() -> None:
    (dashboard,) = (rule for rule in rules(PRODUCTION, "one-sluice-pools") if {"port": 8265} in rule.get("ports", []))
    assert [peer for peer in dashboard["from"] if peer != OPERATOR] == [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    ]


def test_the_test_of_the_release_is_let_in_where_clients_are_named() -> None:
    (predictions,) = (rule for rule in rules(PRODUCTION, "one-sluice-gateway") if {"port": "http"} in rule["ports"])
    labels = found(PRODUCTION, "Pod")["metadata"]["labels"]
    allowed = [peer["podSelector"]["matchLabels"] for peer in predictions["from"] if "podSelector" in peer]
    assert any(peer.items() <= labels.items() for peer in allowed)


def rules(shape: Path, name: str) -> list[dict[str, Any]]:
    policies = (one for one in rendered(shape) if one["kind"] == "NetworkPolicy" and one["metadata"]["name"] == name)
    (policy,) = policies
    listed: list[dict[str, Any]] = policy["spec"]["ingress"]
    return listed


def found(shape: Path, kind: str) -> dict[str, Any]:
    (one,) = (one for one in rendered(shape) if one["kind"] == kind)
    return one
