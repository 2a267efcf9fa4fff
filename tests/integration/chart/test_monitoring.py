"""What watches a release finds it: monitors their ports, the scaler its metric; rules and dashboards are the tested."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from tests.integration.chart.helm import CHART, rendered
from tests.unit.deployments.test_monitoring import MONITORING, RECORDED, ROOT

OBJECTS = rendered(CHART / "ci" / "production-values.yaml")


def test_the_rules_of_a_release_are_those_that_promtool_tried() -> None:
    assert the("PrometheusRule")["spec"] == yaml.safe_load((MONITORING / "rules.yaml").read_text())


def test_the_dashboards_of_a_release_are_those_whose_questions_were_asked() -> None:
    (found,) = (one for one in OBJECTS if one["metadata"]["labels"].get("grafana_dashboard") == "1")
    files = {path.name: json.loads(path.read_text()) for path in (MONITORING / "dashboards").iterdir()}
    assert {name: json.loads(text) for name, text in found["data"].items()} == files


def test_a_monitor_of_services_selects_one_that_leads_to_the_port_of_metrics() -> None:
    spec = the("ServiceMonitor")["spec"]
    (service,) = (one for one in OBJECTS if one["kind"] == "Service" and chosen(one["metadata"], spec["selector"]))
    (asked,) = (endpoint["port"] for endpoint in spec["endpoints"])
    (port,) = (port for port in service["spec"]["ports"] if port["name"] == asked)
    (pod,) = (one["spec"]["template"] for one in OBJECTS if one["kind"] == "Deployment")
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    (open_port,) = (one for one in pod["spec"]["containers"][0]["ports"] if one["name"] == port["targetPort"])
    assert open_port["containerPort"] == 8082


def test_a_monitor_of_pods_selects_those_of_ray_by_ports_that_the_head_has() -> None:
    spec = the("PodMonitor")["spec"]
    cluster = the("RayService")["spec"]["rayClusterConfig"]
    templates = [group["template"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]
    assert all(chosen(template["metadata"], spec["selector"]) for template in templates)
    asked = {endpoint["port"] for endpoint in spec["podMetricsEndpoints"]}
    assert asked <= {port["name"] for port in templates[0]["spec"]["containers"][0]["ports"]}


def test_a_route_leads_to_the_service_of_predictions() -> None:
    (rule,) = the("HTTPRoute")["spec"]["rules"]
    (backend,) = rule["backendRefs"]
    (service,) = (one for one in OBJECTS if one["kind"] == "Service" and one["metadata"]["name"] == backend["name"])
    assert backend["port"] in {port["port"] for port in service["spec"]["ports"]}


def test_the_scaler_asks_for_the_metric_that_the_page_has_an_adapter_offer() -> None:
    (metric,) = (
        one["external"] for one in the("HorizontalPodAutoscaler")["spec"]["metrics"] if one["type"] == "External"
    )
    page = (ROOT / "docs" / "operations" / "kubernetes.md").read_text()
    (rule,) = yaml.safe_load(page.split("```yaml\n")[1].partition("```")[0])["externalRules"]
    assert metric["metric"]["name"] == rule["name"]["as"]
    assert rule["seriesQuery"] in RECORDED
    assert rule["metricsQuery"] == f"max({rule['seriesQuery']}{{<<.LabelMatchers>>}})"
    # Kubernetes asks by namespace, and without this the adapter knows no label for it and refuses.
    assert rule["resources"]["overrides"] == {"namespace": {"resource": "namespace"}}
    # A monitor calls its job as the Service is called; 5 milliseconds are 0.005 seconds, as the metric has them.
    assert metric["metric"]["selector"]["matchLabels"] == {"job": "one-sluice-operators"}
    assert metric["target"] == {"type": "Value", "value": "5m"}
    assert re.fullmatch(r"model:sluice_queue_seconds:p99_\w+", rule["seriesQuery"])


def the(kind: str) -> dict[str, Any]:
    """The only object of a kind."""
    (found,) = (one for one in OBJECTS if one["kind"] == kind)
    return found


def chosen(metadata: dict[str, Any], selector: dict[str, Any]) -> bool:
    """Whether labels are selected."""
    return bool(selector["matchLabels"].items() <= metadata["labels"].items())
