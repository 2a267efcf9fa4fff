"""Makes the peers' own environment, and says what is missing that only the system's package manager can bring."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENT = HERE / ".venv"
PEERS_PYTHON = ENVIRONMENT / "bin" / "python"
REQUIREMENTS = HERE / "requirements.txt"
SYSTEM_TOOLS = {"wrk": "the load generator: nothing can be measured without it", "nginx": "the bound: left out"}


def main() -> int:
    """Create the environment if the list of requirements changed since the last time; 1 where `wrk` is missing."""
    done = ENVIRONMENT / "installed.txt"
    wanted = REQUIREMENTS.read_text()
    if not done.exists() or done.read_text() != wanted:
        _create()
        _install()
        done.write_text(wanted)
    missing = [tool for tool in SYSTEM_TOOLS if shutil.which(tool) is None and not Path("/usr/sbin", tool).exists()]
    for tool in missing:
        print(f"{tool} is not installed ({SYSTEM_TOOLS[tool]}); try: apt-get install {tool}", file=sys.stderr)
    return 1 if "wrk" in missing else 0


def _create() -> None:
    subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", ENVIRONMENT], check=True)


def _install() -> None:
    # Neither environment needs a pip of its own (Debian's Python has no ensurepip): the one outside fills any other.
    outside = Path(sys.base_prefix, "bin", "python3")
    wanted = ["--quiet", "-r", str(REQUIREMENTS)]
    pip = [str(outside), "-m", "pip", "--python", str(PEERS_PYTHON), "install", "--disable-pip-version-check", *wanted]
    uv = ["uv", "pip", "install", "--python", str(PEERS_PYTHON), *wanted]
    if shutil.which("uv") and subprocess.run(uv, check=False).returncode == 0:
        return
    subprocess.run(pip, check=True)


if __name__ == "__main__":
    sys.exit(main())
