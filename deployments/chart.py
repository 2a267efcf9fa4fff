"""What of the Helm chart is made from other files: `python -m deployments.chart` writes it into helm/sluice.

The schema of its values, in which `config` is the schema of Sluice's configuration; its README; copies of the alerts
and dashboards, since a chart reaches no file beside it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from serving.config.settings import Settings

CHART = Path(__file__).parents[1] / "helm" / "sluice"
_MONITORING = Path(__file__).parent / "monitoring"

_TEXT, _COUNT = {"type": "string"}, {"type": "integer", "minimum": 1}
_NAMED = {"type": "string", "minLength": 1}
# As Kubernetes writes them: 500m, 1.5, 4Gi.
_QUANTITY = {
    "type": ["string", "number"],
    "pattern": r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$",
    "minimum": 0,
}
_RESOURCES = {
    "type": "object",
    "additionalProperties": False,
    "properties": {kind: {"type": "object", "additionalProperties": _QUANTITY} for kind in ("requests", "limits")},
}


def _only(required: Sequence[str] = (), /, **properties: Mapping[str, Any]) -> dict[str, Any]:
    """An object with these keys and no other."""
    return {"type": "object", "additionalProperties": False, "required": [*required], "properties": properties}


_LABELS = {"type": "object", "additionalProperties": _TEXT}
_SELECTOR = _only(matchLabels=_LABELS, matchExpressions={"type": "array", "items": {"type": "object"}})
_BLOCK = _only(["cidr"], cidr=_TEXT, **{"except": {"type": "array", "items": _TEXT}})
_PEER = _only(podSelector=_SELECTOR, namespaceSelector=_SELECTOR, ipBlock=_BLOCK) | {"minProperties": 1}
_PEERS = {"type": "array", "items": _PEER}
_PARENT = _only(
    ["name"], **dict.fromkeys(("group", "kind", "namespace", "name", "sectionName"), _TEXT), port={"type": "integer"}
)
_WORKERS = {
    "type": "object",
    "additionalProperties": False,
    "required": ["replicas", "minReplicas", "maxReplicas", "resources"],
    "properties": {
        "replicas": {"type": "integer", "minimum": 0},
        "minReplicas": {"type": "integer", "minimum": 0},
        "maxReplicas": _COUNT,
        "resources": _RESOURCES,
    },
}
# What a default does not tell.
_TOLD: Mapping[str, Mapping[str, Any]] = {
    "engine": {"enum": ["in-process", "external"]},
    "image.pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
    "image.repository": {"type": "string", "minLength": 1},
    "models.path": {"type": "string", "pattern": "^/"},
    "gateway.replicas": _COUNT,
    "gateway.resources": _RESOURCES,
    "gateway.preStopSeconds": {"type": "integer", "minimum": 1, "maximum": 300},
    "gateway.autoscaling.minReplicas": _COUNT,
    "gateway.autoscaling.maxReplicas": _COUNT,
    "gateway.autoscaling.cpuPercent": {"type": "integer", "minimum": 1, "maximum": 100},
    "gateway.autoscaling.queueDelayMs": {"type": "integer", "minimum": 0},
    "gateway.disruptionBudget.maxUnavailable": {"type": ["integer", "string"], "minimum": 0, "pattern": "^[0-9]+%$"},
    "gateway.service.type": {"enum": ["ClusterIP", "NodePort", "LoadBalancer"]},
    "gateway.service.annotations": _LABELS,
    "state.bundledImage": _NAMED,
    "state.control.key": _NAMED,
    "state.features.key": _NAMED,
    "control.key": _NAMED,
    "ray.key": _NAMED,
    "ray.gcs.passwordKey": _NAMED,
    "ray.version": _NAMED,
    # No password: it would stand in the RayService, for whoever may look at that.
    "ray.gcs.address": {"type": "string", "pattern": r"^(none|(rediss?://)?[^@/\s]+:[0-9]+)?$"},
    "ray.head.resources": _RESOURCES,
    "ray.workers": {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": "^[a-z0-9-]+$"},
        "additionalProperties": _WORKERS,
    },
    "ray.upgrade": {"enum": ["NewCluster", "None"]},
    "networkPolicy.clients": _PEERS,
    "networkPolicy.operators": _PEERS,
    "route.parentRefs": {"type": "array", "items": _PARENT},
    "monitoring.labels": _LABELS,
}
# The chart sets these; a value of somebody else's would be lost.
_OURS = {
    "engine": None,
    "repository": None,
    "state": ("control_url", "features_url", "dir"),
    "tracing": ("headers_file",),
}
# What says more than an address would stand in a ConfigMap.
_WITHOUT_PASSWORD = {"pattern": "^https?://[^/@]+(/|$)"}
_HOSTS = {"http": ("host", "port"), "grpc": ("host", "port"), "metrics": None, "control": None}


def files() -> Mapping[str, str]:
    """Every file that is made, by its path in the chart."""
    values = (CHART / "values.yaml").read_text(encoding="utf-8")
    made = {
        "values.schema.json": json.dumps(_schema(yaml.safe_load(values)), indent=1) + "\n",
        "README.md": _readme(values),
        "files/rules.yaml": (_MONITORING / "rules.yaml").read_text(encoding="utf-8"),
    }
    dashboards = sorted((_MONITORING / "dashboards").glob("*.json"))
    return made | {f"files/dashboards/{path.name}": path.read_text(encoding="utf-8") for path in dashboards}


def _schema(values: Mapping[str, Any]) -> dict[str, Any]:
    settings = Settings.model_json_schema()
    config = {key: settings[key] for key in ("properties", "additionalProperties")} | {"type": "object"}
    definitions = dict(settings["$defs"])
    for section, keys in (_OURS | _HOSTS).items():
        if keys is None:
            del config["properties"][section]
            continue
        name = config["properties"][section].pop("$ref").rpartition("/")[2]
        kept = {key: one for key, one in definitions[name]["properties"].items() if key not in keys}
        config["properties"][section] = {**definitions[name], "properties": kept}
    config["properties"]["tracing"]["properties"]["endpoint"] |= _WITHOUT_PASSWORD
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_closed(values, ""),
        "$defs": {**definitions, "SluiceConfiguration": config},
    }


def _closed(values: Mapping[str, Any], above: str) -> dict[str, Any]:
    properties = {key: _of(value, f"{above}{key}") for key, value in values.items()}
    # Helm puts `global` into the values of every chart.
    more = {} if above else {"global": {"type": "object"}}
    return {"type": "object", "additionalProperties": False, "properties": properties | more}


def _of(value: object, path: str) -> dict[str, Any]:
    if path == "config":
        return {"$ref": "#/$defs/SluiceConfiguration"}
    if path in _TOLD:
        return dict(_TOLD[path])
    if isinstance(value, Mapping):
        return _closed(value, f"{path}.")
    if isinstance(value, list):
        return {"type": "array", "items": _TEXT}
    return {"type": "boolean"} if isinstance(value, bool) else {"type": "string"}


_INTRODUCTION = """# Chart sluice

{description}

`docs/operations/kubernetes.md` says how it is installed and run. This page is made from `values.yaml` by
`python -m deployments.chart`.

| value | default | meaning |
|---|---|---|
"""


def _readme(values: str) -> str:
    description = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["description"]
    rows = [f"| `{path}` | `{default}` | {text} |\n" for path, default, text in told(values)]
    return _INTRODUCTION.format(description=description) + "".join(rows)


def told(values: str) -> Iterator[tuple[str, str, str]]:
    """Path, default as JSON and text of every value with a `# --` sentence."""
    defaults = yaml.safe_load(values)
    above: list[str] = []
    text = ""
    for line in values.splitlines():
        if comment := re.match(r"\s*# (-- )?(.+)", line):
            text = comment[2] if comment[1] else f"{text} {comment[2]}"
        elif key := re.match(r"( *)([A-Za-z]\w*):", line):
            above = [*above[: len(key[1]) // 2], key[2]]
            if text:
                value = defaults
                for name in above:
                    value = value[name]
                yield ".".join(above), json.dumps(value), text
            text = ""


if __name__ == "__main__":
    for name, content in files().items():
        (CHART / name).write_text(content, encoding="utf-8")
