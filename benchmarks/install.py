"""Makes the peers' own environments, and says what is missing that only the system's package manager can bring."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
# By the list of what is in it: two peers pin so much that nothing fits beside them.
ENVIRONMENTS = {
    HERE / "requirements.txt": HERE / ".venv",
    HERE / "requirements-kserve.txt": HERE / ".venv-kserve",
    HERE / "requirements-mlserver.txt": HERE / ".venv-mlserver",
}
PEERS_PYTHON, KSERVE_PYTHON, MLSERVER_PYTHON = (place / "bin" / "python" for place in ENVIRONMENTS.values())
SYSTEM_TOOLS = {
    "wrk": ("wrk", "the load generator: nothing can be measured without it"),
    "h2load": ("nghttp2-client", "the load generator of gRPC: leave `grpc` out of --workloads"),
    "nginx": ("nginx", "the bound: left out"),
}


def main() -> int:
    """Create each environment whose list of requirements changed since the last time; 1 where `wrk` is missing."""
    for requirements, environment in ENVIRONMENTS.items():
        done = environment / "installed.txt"
        wanted = requirements.read_text()
        if not done.exists() or done.read_text() != wanted:
            _create(environment)
            _install(requirements, environment)
            done.write_text(wanted)
    missing = [tool for tool in SYSTEM_TOOLS if shutil.which(tool) is None and not Path("/usr/sbin", tool).exists()]
    for tool in missing:
        package, why = SYSTEM_TOOLS[tool]
        print(f"{tool} is not installed ({why}); try: apt-get install {package}", file=sys.stderr)
    return 1 if "wrk" in missing else 0


def _create(environment: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", environment], check=True)


def _install(requirements: Path, environment: Path) -> None:
    # None of them needs a pip of its own (Debian's Python has no ensurepip): the one outside fills any other.
    outside = Path(sys.base_prefix, "bin", "python3")
    python = str(environment / "bin" / "python")
    wanted = ["--quiet", "-r", str(requirements)]
    pip = [str(outside), "-m", "pip", "--python", python, "install", "--disable-pip-version-check", *wanted]
    uv = ["uv", "pip", "install", "--python", python, *wanted]
    if shutil.which("uv") and subprocess.run(uv, check=False).returncode == 0:
        return
    subprocess.run(pip, check=True)


if __name__ == "__main__":
    sys.exit(main())
