"""Every supported shape of the chart lints, renders and is what Kubernetes, Ray Serve and Sluice understand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deployments import first_prediction
from deployments.flights import sample
from serving.config.effective import effective
from tests.e2e.clients.environments import environment
from tests.e2e.sluice_up import ROOT, SluiceUp
from tests.e2e.test_backup import SECRET, answered_by, replicas
from tests.integration.chart.helm import CHART, SHAPES, helm, pods, rendered
from tests.integration.redis_process import RedisProcess, free_ports

each_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda path: path.stem)
OTHERS = ("monitoring.coreos.com/", "ray.io/", "gateway.networking.k8s.io/")
# Of a RayService's name, which its clusters' go on with.
LONGEST = 47
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
        for container in (*pod["spec"]["containers"], *pod["spec"].get("initContainers", [])):
            plain = [entry for entry in container.get("env", []) if "value" in entry]
            assert not [entry for entry in plain if "SECRET" in entry["name"] or "@" in entry["value"]]
            assert "redis://" not in " ".join([*container.get("command", []), *container.get("args", [])])
        # Whatever else is in the namespace adds no variable that looks like one of ours.
        assert pod["spec"]["enableServiceLinks"] is False
    assert "redis" not in configuration(shape)


@each_shape
def test_two_releases_in_one_namespace_share_no_object(shape: Path) -> None:
    one, two = ({(o["kind"], o["metadata"]["name"]) for o in rendered(shape, name)} for name in ("one", "two"))
    assert len(one) == len(rendered(shape))
    assert not one & two


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("one", "one-sluice"),
        ("sluice", "sluice-sluice"),
        # As the Service of the other one's Redis is called.
        ("one", "one-sluice-control"),
        (f"{'a' * 52}b", f"{'a' * 52}c"),
    ],
)
def test_two_releases_share_no_object_whatever_they_are_called(one: str, two: str) -> None:
    trial = CHART / "ci" / "trial-values.yaml"
    first, second = ({(o["kind"], o["metadata"]["name"]) for o in rendered(trial, name)} for name in (one, two))
    assert not first & second
    assert all(len(name) <= LONGEST for kind, name in first | second if kind == "RayService")


def test_the_token_of_the_control_api_is_that_of_the_secret_also_where_it_is_not_exposed() -> None:
    given = ("config.http.repository_api=token", "control.secret=control-token", "control.key=word")
    made = helm("template", "one", CHART, *(part for value in given for part in ("--set", value)))
    assert made.returncode == 0, made.stderr
    objects = [one for one in yaml.safe_load_all(made.stdout) if one]
    (config,) = (one for one in objects if one["metadata"]["name"] == "one-sluice-config")
    file = Path(yaml.safe_load(config["data"]["sluice.yaml"])["control"]["token_file"])
    (pod,) = (one["spec"]["template"]["spec"] for one in objects if one["kind"] == "Deployment")
    (mount,) = (one for one in pod["containers"][0]["volumeMounts"] if one["mountPath"] == str(file.parent))
    (volume,) = (one["secret"] for one in pod["volumes"] if one["name"] == mount["name"])
    assert (volume["secretName"], volume["items"]) == ("control-token", [{"key": "word", "path": file.name}])


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
        assert helm_test(session.port).splitlines() == ["flight-delay: works"]
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
        (["gateway.resources.requests.memory=lots"], "memory"),
        (["gateway.disruptionBudget.maxUnavailable=some"], "maxUnavailable"),
        (["networkPolicy.clients[0].podSelecter.matchLabels.a=b"], "podSelecter"),
        (["route.parentRefs[0].namespace=gateways"], "parentRefs"),
        (["control.key="], "key"),
        (["config.tracing.endpoint=https://me:word@traces.example.com"], "endpoint"),
        (["config.http.repository_api=token"], "control.secret: config.http.repository_api: token asks callers"),
        (["state.bundled=true", "state.control.secret=s"], "state.bundled: it starts both Redis servers"),
        (["models.init.secret=s"], "models.init.image: models.init.command and models.init.secret"),
        (["ray.gcs.address=redis://:word@gcs:6379"], "address"),
        (["ray.gcs.passwordSecret=s"], "ray.gcs.address: ray.gcs.passwordSecret is of a Redis"),
        (["ingress.tlsSecret=s"], "ingress.host: ingress.className and ingress.tlsSecret"),
        (["route.hostnames[0]=h"], "route.parentRefs: route.hostnames are those of an HTTPRoute"),
        (["gateway.autoscaling.minReplicas=11"], "gateway.autoscaling: minReplicas is 11"),
        (["ray.workers.default.replicas=3"], "ray.workers.default: replicas is 3"),
    ],
    ids=lambda given: given[-1] if isinstance(given, list) else "",
)
def test_what_is_wrong_or_missing_is_named(values: list[str], told: str) -> None:
    made = helm("template", "one", CHART, *(part for value in values for part in ("--set", value)))
    assert made.returncode != 0
    assert told in made.stderr


def test_a_gateway_answers_by_replicas_of_others_with_the_rendered_environment(tmp_path: Path) -> None:
    shape = CHART / "ci" / "external-redis-values.yaml"
    (pod,) = pods(tuple(one for one in rendered(shape) if one["kind"] == "Deployment"))
    (gateway,) = pod["spec"]["containers"]
    file = tmp_path / "sluice.yaml"
    file.write_text(configuration(shape))
    (port,) = free_ports(1)
    control = RedisProcess("valkey", tmp_path / "control", port)
    control.start()
    url = f"redis://127.0.0.1:{control.port}"
    kept = {"control-redis": url, "features-redis": url, "sluice-pool": SECRET}
    told = {one["name"]: one.get("value") or kept[one["valueFrom"]["secretKeyRef"]["name"]] for one in gateway["env"]}
    here = {"SLUICE_REPOSITORY__MODELS_DIR": str(sample.MODELS), "SLUICE_STATE__DIR": str(tmp_path / "state")}
    with replicas(url):
        session = SluiceUp("--config", str(file), engine="external", **(told | here | {"SLUICE_CONFIG": str(file)}))
        try:
            session.wait_until_ready()
            assert answered_by(session) == "2"
            session.close()
        finally:
            session.destroy()
            control.close()


def helm_test(port: int) -> str:
    """What the rendered test of the release tells of a gateway on this machine."""
    (pod,) = (one for one in rendered(CHART / "ci" / "minimal-values.yaml") if one["kind"] == "Pod")
    program, *words, place = pod["spec"]["containers"][0]["command"]
    assert (program, place) == ("python", "one-sluice:8080")
    whole = [sys.executable, *words, f"127.0.0.1:{port}"]
    told = subprocess.run(whole, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    return told.stdout


def test_the_test_of_a_release_fails_where_nobody_answers(capsys: pytest.CaptureFixture[str]) -> None:
    (port,) = free_ports(1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "argv", ["", f"127.0.0.1:{port}"])
        assert first_prediction.main() == 1
    assert "does not answer" in capsys.readouterr().err


def configuration(shape: Path) -> str:
    (found,) = (one for one in rendered(shape) if one["metadata"]["name"] == "one-sluice-config")
    return str(found["data"]["sluice.yaml"])
