"""The image can be built of what is in the checkout, and the compose file names what there is."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from serving.config.effective import effective
from serving.processes.huge_pages import asked_for
from serving.processes.ray_environment import environment
from tests.unit.deployments.dockerfile import copied, instructions, listed

ROOT = Path(__file__).parents[3]
DOCKER = ROOT / "deployments" / "docker"
FOUND = instructions(DOCKER / "Dockerfile")
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
PINNED = re.compile(r".+:\d+\.\d+.*|.+:v\d+\.\d+\.\d+")


@pytest.mark.parametrize("source", copied(FOUND))
def test_what_is_copied_is_there_and_not_ignored(source: str) -> None:
    assert (ROOT / source).exists()
    assert f"!{source}" in (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()


def test_every_package_of_the_product_is_copied() -> None:
    built = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert set(built["packages"]) <= set(copied(FOUND))


def test_images_are_pinned() -> None:
    bases = [one.rest.split()[0] for one in FOUND if one.word == "FROM"]
    assert len(set(bases)) == 1
    for image in (*bases, *(service["image"] for service in SERVICES.values())):
        assert PINNED.fullmatch(image), image


def test_it_does_not_run_as_root_but_as_the_user_of_the_chart() -> None:
    (user,) = (one.rest for one in FOUND if one.word == "USER")
    assert f"runAsUser: {user.partition(':')[0]}" in (ROOT / "helm/sluice/templates/_helpers.tpl").read_text()


def test_what_kuberay_asks_a_worker_with_is_in_the_image_itself() -> None:
    last = max(number for number, one in enumerate(FOUND) if one.word == "FROM")
    installed = [one.rest for one in FOUND[last:] if one.word == "RUN" and "apt-get install" in one.rest]
    assert any("wget" in rest.split() for rest in installed)


def test_models_lie_on_huge_pages_there_as_in_a_session() -> None:
    (told,) = (one.rest for one in FOUND if one.word == "ENV")
    assert "=".join(*asked_for({}).items()) in told.split()


def test_every_folder_that_it_serves_is_copied() -> None:
    words = listed(FOUND, "ENTRYPOINT") + listed(FOUND, "CMD")
    assert words[:2] == ["sluice", "up"]
    inside = [word.removeprefix("/app/") for word in words if word.startswith("/app/")]
    assert inside
    assert all((ROOT / path).exists() for path in inside)


def test_files_that_are_mounted_are_there() -> None:
    mounted = [volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])]
    files = [source for source in mounted if source.startswith(".")]
    assert len(files) == 5
    assert all((DOCKER / source).exists() for source in files)
    assert {source for source in mounted if not source.startswith(".")} == set(COMPOSE["volumes"])


@pytest.mark.parametrize("name", ["gateway", "pools"])
def test_its_configuration_is_taken_with_its_environment(name: str) -> None:
    given = {key: value for key, value in SERVICES[name]["environment"].items() if "__" in key}
    settings = effective(DOCKER / "sluice.yaml", given, {}).settings
    assert settings.engine.kind == "external"
    assert settings.state.control_url.split("/")[2].split(":")[0] in SERVICES
    assert settings.metrics.host == "0.0.0.0"


def test_ray_is_told_what_a_session_tells_it() -> None:
    told = SERVICES["pools"]["environment"]
    for name in ("RAY_worker_niceness", "RAY_USAGE_STATS_ENABLED"):
        assert told[name] == environment(Path())[name]


def test_no_secret_stands_in_it_and_one_that_is_missing_is_named() -> None:
    assert SERVICES["gateway"]["environment"]["SLUICE_POOL_SECRET"].startswith("${SLUICE_POOL_SECRET:?")


def test_prometheus_scrapes_the_gateway_and_grafana_asks_prometheus() -> None:
    (scraped,) = yaml.safe_load((DOCKER / "prometheus.yml").read_text())["scrape_configs"]
    given = {key: value for key, value in SERVICES["gateway"]["environment"].items() if "__" in key}
    metrics = effective(DOCKER / "sluice.yaml", given, {}).settings.metrics
    assert scraped["static_configs"] == [{"targets": [f"gateway:{metrics.port}"]}]
    (source,) = yaml.safe_load((DOCKER / "grafana/datasources/prometheus.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((DOCKER / "grafana/dashboards/sluice.yaml").read_text())["providers"]
    assert f"../monitoring/dashboards:{provider['options']['path']}:ro" in SERVICES["grafana"]["volumes"]


def test_only_this_machine_reaches_it() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)
