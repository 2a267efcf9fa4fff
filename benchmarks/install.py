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
        install(environment, requirements)
    missing = [tool for tool in SYSTEM_TOOLS if shutil.which(tool) is None and not Path("/usr/sbin", tool).exists()]
    for tool in missing:
        package, why = SYSTEM_TOOLS[tool]
        print(f"{tool} is not installed ({why}); try: apt-get install {package}", file=sys.stderr)
    return 1 if "wrk" in missing else 0


def install(environment: Path, requirements: Path, *options: str) -> None:
    """An environment that has exactly this list, made anew where the list has changed since; `options` are pip's."""
    done = environment / "installed.txt"
    wanted = requirements.read_text()
    if done.exists() and done.read_text() == wanted:
        return
    subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", environment], check=True)
    _fill(environment / "bin" / "python", "--quiet", *options, "-r", str(requirements))
    done.write_text(wanted)


def _fill(python: Path, *wanted: str) -> None:
    # None of them needs a pip of its own (Debian's Python has no ensurepip): the one outside fills any other.
    outside = Path(sys.base_prefix, "bin", "python3")
    pip = [str(outside), "-m", "pip", "--python", str(python), "install", "--disable-pip-version-check"]
    uv = ["uv", "pip", "install", "--python", str(python), *wanted]
    if shutil.which("uv") and subprocess.run(uv, check=False).returncode == 0:
        return
    # To compile what is never imported takes pip as long as all the rest; uv does not do it either.
    subprocess.run([*pip, "--no-compile", *wanted], check=True)


if __name__ == "__main__":
    sys.exit(main())
