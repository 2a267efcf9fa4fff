"""Makes an environment for each peer, in a folder that is given: none of them fits into the project's own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def python_of(peer: str, root: Path) -> Path:
    """The peer's Python, installed if its list of requirements changed since the last time."""
    folder, wanted = root / peer, HERE / f"requirements-{peer}.txt"
    python, done = folder / "bin" / "python", folder / "installed.txt"
    if done.exists() and done.read_text() == wanted.read_text():
        return python
    subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", folder], check=True)
    # Debian's Python has no ensurepip: the pip outside fills any environment.
    outside = Path(sys.base_prefix, "bin", "python3")
    pip = (outside, "-m", "pip", "--python", python, "install", "--quiet", "--disable-pip-version-check")
    subprocess.run((*pip, "-r", wanted), check=True)
    done.write_text(wanted.read_text())
    return python


def version_of(python: Path, package: str) -> str:
    """What is installed there."""
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
