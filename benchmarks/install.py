"""Makes the peers' own environments, and says what is missing that only the system's package manager can bring."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
# Those that pin so much that nothing fits beside them.
ALONE = ("kserve", "mlserver", "bentoml", "litserve", "pytriton", "feast")
# By the list of what is in it.
ENVIRONMENTS = {
    HERE / "requirements.txt": HERE / ".venv",
    **{HERE / f"requirements-{peer}.txt": HERE / f".venv-{peer}" for peer in ALONE},
}
PEERS_PYTHON, KSERVE_PYTHON, MLSERVER_PYTHON, BENTOML_PYTHON, LITSERVE_PYTHON, PYTRITON_PYTHON, FEAST_PYTHON = (
    place / "bin" / "python" for place in ENVIRONMENTS.values()
)
# Triton runs Python inside itself by the shared library of the system's, which one built by hand mostly lacks.
SYSTEM_PYTHON = Path("/usr/bin/python3")
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
    inside = SYSTEM_PYTHON if environment.name == PYTRITON_PYTHON.parent.parent.name else Path(sys.executable)
    subprocess.run([inside, "-m", "venv", "--clear", "--without-pip", environment], check=True)
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
