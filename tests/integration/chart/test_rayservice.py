"""The RayService of every shape is what KubeRay takes: a field that it does not know is dropped without a word."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.integration.chart.crd import Schema, schema_of, strict, unlike
from tests.integration.chart.helm import CHART, SHAPES, rendered

POOLS = [shape for shape in SHAPES if any(one["kind"] == "RayService" for one in rendered(shape))]
FIELDS: Schema = yaml.safe_load(Path(__file__).with_name("rayservice.yaml").read_text(encoding="utf-8"))
CRD = os.environ.get("SLUICE_RAYSERVICE_CRD")
with_the_crd = pytest.mark.skipif(not CRD, reason="SLUICE_RAYSERVICE_CRD names no file with KubeRay's CRD")


@pytest.mark.parametrize("shape", POOLS, ids=lambda path: path.stem)
def test_kuberay_knows_every_field(shape: Path) -> None:
    assert objections(FIELDS, service(shape)) == []


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("spec", "serveConfig"), "applications: []", "'serveConfig' was unexpected"),
        (("spec", "rayClusterConfig", "gcsFaultToleranceOption"), {}, "'gcsFaultToleranceOption' was unexpected"),
        (("spec", "rayClusterConfig", "enableInTreeAutoscaling"), "true", "'true' is not of type 'boolean'"),
        (("spec", "rayClusterConfig", "headGroupSpec", "rayStartParams", "num-cpus"), 0, "0 is not of type 'string'"),
        (("spec", "rayClusterConfig", "workerGroupSpecs", 0, "minReplica"), 1, "'minReplica' was unexpected"),
        (("spec", "rayClusterConfig", "workerGroupSpecs", 0, "maxReplicas"), None, "None is not of type 'integer'"),
        (("spec", "rayClusterConfig"), {}, "'headGroupSpec' is a required property"),
        (("apiVersion",), "ray.io/v1beta1", "'ray.io/v1beta1' is not one of"),
    ],
    ids=lambda given: ".".join(map(str, given)) if isinstance(given, tuple) else "",
)
def test_a_field_that_is_misspelt_or_holds_something_else_is_told(path: tuple[Any, ...], value: Any, told: str) -> None:
    wrong = copy.deepcopy(service(CHART / "ci" / "production-values.yaml"))
    *above, last = path
    place = wrong
    for key in above:
        place = place[key]
    place[last] = value
    assert any(told in one for one in objections(FIELDS, wrong))


def test_what_a_crd_leaves_open_is_left_open() -> None:
    schema = {
        "type": "object",
        "properties": {
            "port": {"x-kubernetes-int-or-string": True},
            "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            "closed": {"type": "object"},
            "texts": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    }
    for fine in ({"port": 1}, {"port": "http"}, {"open": {"a": 1}}, {"texts": {"a": "b"}}, {"metadata": {"name": "a"}}):
        assert objections(schema, fine) == []
    mistakes: tuple[dict[str, Any], ...] = ({"port": 1.5}, {"closed": {"a": 1}}, {"texts": {"a": 1}}, {"opened": {}})
    for wrong in mistakes:
        assert len(objections(schema, wrong)) == 1


@with_the_crd
@pytest.mark.parametrize("shape", POOLS, ids=lambda path: path.stem)
def test_the_crd_itself_has_no_objection(shape: Path) -> None:
    assert objections(schema_of(Path(str(CRD)), "v1"), service(shape)) == []


@with_the_crd
def test_the_fields_are_those_of_the_crd() -> None:
    assert list(unlike(FIELDS, schema_of(Path(str(CRD)), "v1"))) == []


def service(shape: Path) -> dict[str, Any]:
    (found,) = (one for one in rendered(shape) if one["kind"] == "RayService")
    return found


def objections(schema: Schema, one: dict[str, Any]) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(strict(schema)).iter_errors(one)]
