"""Every supported shape of the chart lints, renders and is what Kubernetes, Ray Serve and Sluice understand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deployments.flights import sample
from serving.config.effective import effective
from tests.e2e.clients.environments import environment
from tests.e2e.sluice_up import SluiceUp
from tests.integration.chart.helm import CHART, SHAPES, helm, pods, rendered

each_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda path: path.stem)
OTHERS = ("monitoring.coreos.com/", "ray.io/", "gateway.networking.k8s.io/")
SECRETS = {
    "SLUICE_STATE__CONTROL_URL": "redis://control:6379/0",
    "SLUICE_STATE__FEATURES_URL": "redis://features:6379/0",
    "SLUICE_POOL_SECRET": "0123456789abcdef",
}


@each_shape
def test_it_lints(shape: Path) -> None:
    told = helm("lint", CHART, "--strict", "--values", shape)
    assert told.returncode == 0, told.stdout + told.stderr


@each_shape
def test_kubernetes_knows_every_field(shape: Path, tmp_path: Path) -> None:
    objects = [one for one in rendered(shape) if not one["apiVersion"].startswith(OTHERS)] + pods(rendered(shape))
    files = [tmp_path / f"{number}.yaml" for number in range(len(objects))]
    for file, one in zip(files, objects, strict=True):
        file.write_text(yaml.safe_dump(one))
    checked = subprocess.run(
        [environment("chart") / "bin" / "kubernetes-validate", "--strict", *files],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@each_shape
def test_sluice_takes_its_configuration(shape: Path, tmp_path: Path) -> None:
    file = tmp_path / "sluice.yaml"
    file.write_text(configuration(shape))
    names = {entry["name"] for pod in pods(rendered(shape)) for entry in pod["spec"]["containers"][0].get("env", [])}
    given = {name: text for name, text in SECRETS.items() if name in names}
    settings = effective(file, given, {}).settings
    assert settings.http.host == "0.0.0.0"
    assert settings.control.host == ("0.0.0.0" if "tls" in shape.stem else "127.0.0.1")


@each_shape
def test_nothing_runs_as_root_or_writes_where_it_need_not(shape: Path) -> None:
    for pod in pods(rendered(shape)):
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in (*spec["containers"], *spec.get("initContainers", [])):
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
        for container in spec["containers"]:
            assert {"cpu", "memory"} <= set(container["resources"]["requests"])


@each_shape
def test_secrets_come_by_reference_and_stand_in_no_map_and_no_argument(shape: Path) -> None:
    for pod in pods(rendered(shape)):
        for container in pod["spec"]["containers"]:
            plain = [entry for entry in container.get("env", []) if "value" in entry]
            assert not [entry for entry in plain if "SECRET" in entry["name"] or "@" in entry["value"]]
            assert "redis://" not in " ".join(container.get("args", []))
    assert "redis" not in configuration(shape)


@each_shape
def test_two_releases_in_one_namespace_share_no_object(shape: Path) -> None:
    one, two = ({(o["kind"], o["metadata"]["name"]) for o in rendered(shape, name)} for name in ("one", "two"))
    assert len(one) == len(rendered(shape))
    assert not one & two


@each_shape
def test_a_service_selects_pods_of_its_release(shape: Path) -> None:
    labels = [one["spec"]["template"]["metadata"]["labels"] for one in rendered(shape) if one["kind"] == "Deployment"]
    for one in rendered(shape):
        if one["kind"] == "Service":
            assert any(one["spec"]["selector"].items() <= pod.items() for pod in labels)


# Ray reads its environment when it is imported, and the tests of a cluster of our own need theirs: in another process.
IMPORT_PATHS = """
import json, sys, warnings
warnings.simplefilter("ignore")
from ray.serve.schema import ServeDeploySchema
taken = [ServeDeploySchema.model_validate(one) for one in json.load(sys.stdin)]
print(json.dumps([one.applications[0].import_path for one in taken]))
"""


def test_ray_serve_takes_its_application() -> None:
    pools = [one for shape in SHAPES for one in rendered(shape) if one["kind"] == "RayService"]
    assert len(pools) > 2
    configurations = json.dumps([yaml.safe_load(one["spec"]["serveConfigV2"]) for one in pools])
    asked = [sys.executable, "-c", IMPORT_PATHS]
    taken = subprocess.run(asked, input=configurations, capture_output=True, text=True, timeout=60, check=False)
    assert taken.returncode == 0, taken.stderr
    assert json.loads(taken.stdout) == ["deployments.serve_app:app"] * len(pools)


def test_a_gateway_starts_with_the_rendered_arguments_and_configuration(tmp_path: Path) -> None:
    (pod, *_) = pods(rendered(CHART / "ci" / "minimal-values.yaml"))
    file = tmp_path / "sluice.yaml"
    file.write_text(configuration(CHART / "ci" / "minimal-values.yaml"))
    (gateway,) = pod["spec"]["containers"]
    command, *arguments = [str(file) if one.startswith("/etc/") else one for one in gateway["args"]]
    assert command == "up"
    # Folders of the image, which is not here.
    here = {"SLUICE_REPOSITORY__MODELS_DIR": str(sample.MODELS), "SLUICE_STATE__DIR": str(tmp_path / "state")}
    session = SluiceUp(*arguments, engine="in-process", **here)
    try:
        session.wait_until_ready()
        with session.connect() as connection:
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                assert connection.get(gateway[probe]["httpGet"]["path"]).status == 200
        session.close()
    finally:
        session.destroy()


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (["engin=ray"], "engin"),
        (["gateway.replicas=many"], "replicas"),
        (["gateway.replicas=0"], "replicas"),
        (["config.modles.m.pool=gateway"], "modles"),
        (["config.http.port=9000"], "port"),
        (["config.models.m.deadline_ms=0"], "deadline_ms"),
        (["gateway.resources.requests.cpus=1", "gateway.resources.claims=1"], "claims"),
        (["engine=external"], "ray.secret: engine external needs"),
        (["engine=external", "ray.secret=s"], "state.control.secret: engine external needs"),
        (
            ["config.feature_views.v.entity[0]=id", "config.feature_views.v.features.f.dtype=bool"],
            "state.features.secret: config.feature_views need",
        ),
        (["config.state.rollouts=true"], "state.control.secret: with config.state.rollouts and several gateways"),
        (["control.exposed=true"], "control.secret: an exposed control API needs"),
        (
            ["engine=external", "ray.secret=s", "state.control.secret=c", "ray.enabled=true"],
            "ray.gcs.address: name the HOST:PORT of a Redis that does not evict",
        ),
        (["ray.enabled=true"], "ray.enabled: pools are of use to engine: external only"),
        (["tracing.secret=s"], "tracing.secret: its headers go to a receiver of traces"),
        (["config.tracing.endpoint=http://c:4318", "tracing.secret=s", "tracing.key="], "tracing.key: name the key"),
        (["config.tracing.endpoint=http://c:4318", "tracing.secret[0]=s"], "secret"),
        (["config.tracing.headers_file=/f"], "headers_file"),
        (["models.claim=c", "models.init.image=i"], "models.claim and models.init.image: name one of them"),
    ],
    ids=lambda given: given[-1] if isinstance(given, list) else "",
)
def test_what_is_wrong_or_missing_is_named(values: list[str], told: str) -> None:
    made = helm("template", "one", CHART, *(part for value in values for part in ("--set", value)))
    assert made.returncode != 0
    assert told in made.stderr


def configuration(shape: Path) -> str:
    (found,) = (one for one in rendered(shape) if one["metadata"]["name"] == "one-sluice-config")
    return str(found["data"]["sluice.yaml"])
