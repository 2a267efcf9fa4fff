"""Imports flow the way a request flows: the contracts of pyproject.toml hold."""

from __future__ import annotations

import subprocess
import sys

from tests.architecture.checkout import ROOT


def test_imports_follow_the_layers_and_each_heavy_library_has_one_home() -> None:
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    ended = subprocess.run(
        [sys.executable, "-c", program, "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
