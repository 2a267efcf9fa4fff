"""Has a Feast repository described by the Python that has Feast."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serving.cli.failure import CommandFailed, wrong_usage
from serving.features.feast import repository as described_there

# Feast alone takes seconds to import; a registry may be in a bucket or a database.
_PATIENT_S = 300.0
_TOLD = 2_000


def repository_of(folder: Path, python: Path | None) -> Mapping[str, Any]:
    """What the registry of the repository has; `python` None is this one.

    Raises:
        CommandFailed: no repository, no Feast in that Python, or Feast cannot read it.
    """
    if not (folder / "feature_store.yaml").is_file():
        raise wrong_usage(f"there is no feature_store.yaml in {folder}; name the folder of a Feast repository")
    interpreter = python or Path(sys.executable)
    told = _told(interpreter, folder)
    if (missing := told.get("missing")) is not None:
        hint = "name the Python of an environment that has it with --python, such as feast-env/bin/python"
        what = "Feast is not installed" if missing == "feast" else f"Feast's environment lacks {missing}"
        raise CommandFailed(f"{what} for {interpreter}; {hint}")
    if "error" in told:
        raise CommandFailed(f"Feast cannot read the repository in {folder}: {told['error']}")
    return told


def _told(interpreter: Path, folder: Path) -> Mapping[str, Any]:
    source = Path(described_there.__file__).read_text(encoding="utf-8")
    try:
        ended = subprocess.run(  # noqa: S603 - a Python that the caller names
            [interpreter, "-W", "ignore", "-", str(folder.absolute())],
            input=source,
            capture_output=True,
            text=True,
            timeout=_PATIENT_S,
            check=False,
        )
    except OSError as error:
        raise wrong_usage(f"--python {interpreter}: cannot be started: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise CommandFailed(f"Feast did not read {folder} within {_PATIENT_S:g} s") from error
    try:
        told: Mapping[str, Any] = json.loads(ended.stdout)
    except ValueError as error:
        said = ended.stderr.strip()[-_TOLD:] or f"nothing, and ended with {ended.returncode}"
        raise CommandFailed(f"{interpreter} could not tell of {folder}; it said: {said}") from error
    return told
