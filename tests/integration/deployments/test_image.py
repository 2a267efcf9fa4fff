"""What the image holds, made by the Dockerfile's own commands in a folder of its own: it serves, and lacks no part."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.redis_process import free_ports
from tests.unit.deployments.dockerfile import copied, instructions, listed

ROOT = Path(__file__).parents[3]
FOUND = instructions(ROOT / "deployments" / "docker" / "Dockerfile")
# Debian's Python has no ensurepip: the pip outside fills the environment, in which it looks as if one were there.
OUTSIDE = Path(sys.base_prefix, "bin", "python3")
READY_WITHIN_S = 60.0
ROWS = """name: rows
about: Finished rows.
users: [{name: rows, payload: flight-rows, check: 1}]
shape: [{name: load, for_s: 2, rate: 20}]
gates: {errors: 0}
"""

pytestmark = [
    pytest.mark.skipif(not os.environ.get("SLUICE_LONG"), reason="installs everything anew; SLUICE_LONG=1 runs it"),
    pytest.mark.timeout(1_800),
]


@pytest.fixture(scope="module")
def app() -> Iterator[Path]:
    """/app of the image."""
    # Short, since unix sockets live below it.
    folder = Path(tempfile.mkdtemp(prefix="image-"))
    place = folder / "app"
    try:
        place.mkdir()
        for source in copied(FOUND):
            _copy(ROOT / source, place / source)
        for command in _of_the_first_stage(place):
            # Where pip finds out which index to ask.
            _run(command, place, HOME=str(Path.home()))
        yield place
    finally:
        shutil.rmtree(folder)


def _copy(source: Path, to: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, to, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    else:
        shutil.copy(source, to)


def _of_the_first_stage(place: Path) -> list[str]:
    """The commands after `apt-get`, as they are written but for the place."""
    (installs,) = (one.rest for one in FOUND if one.word == "RUN" and "/app/.venv/bin/pip" in one.rest)
    made, *commands = (command.strip() for command in installs.replace("/app", str(place)).split("&&"))
    assert made == f"python -m venv {place}/.venv"
    pip = place / ".venv" / "bin" / "pip"
    script = f'#!/bin/sh\nexec {OUTSIDE} -m pip --python {place}/.venv/bin/python "$@"\n'
    return [
        f"{OUTSIDE} -m venv --without-pip {place}/.venv",
        f"printf '%s' '{script}' >{pip}; chmod +x {pip}",
        *commands,
    ]


def _run(command: str, place: Path, **more: str) -> str:
    done = subprocess.run(
        ["sh", "-euc", command], cwd=place, env=_environment(place, **more), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def _environment(place: Path, **more: str) -> dict[str, str]:
    """What the image says, and nothing of the checkout's."""
    home = place.parent / "home"
    home.mkdir(mode=0o700, exist_ok=True)
    mirrors = {
        name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_")) or "proxy" in name.lower()
    }
    given = {"PATH": f"{place}/.venv/bin:/usr/local/bin:/usr/bin:/bin", "HOME": str(home), "TMPDIR": str(home)}
    return {**mirrors, **given, "XDG_RUNTIME_DIR": str(home), "PYTHONDONTWRITEBYTECODE": "1", **more}


@contextlib.contextmanager
def _serving(place: Path) -> Iterator[str]:
    """The image's own command, on free ports."""
    sections = ("HTTP", "GRPC", "METRICS", "CONTROL")
    ports = {f"SLUICE_{name}__PORT": str(port) for name, port in zip(sections, free_ports(4), strict=True)}
    command, *words = listed(FOUND, "ENTRYPOINT") + listed(FOUND, "CMD")
    words = [str(place / word.removeprefix("/app/")) if word.startswith("/app/") else word for word in words]
    log = place.parent / "log"
    with log.open("wb") as told:
        process = subprocess.Popen(
            [place / ".venv" / "bin" / command, *words],
            cwd=place,
            env=_environment(place, **ports),
            stdout=told,
            stderr=told,
        )
    try:
        url = f"http://127.0.0.1:{ports['SLUICE_HTTP__PORT']}"
        ends = time.monotonic() + READY_WITHIN_S
        while not _ready(url):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < ends, log.read_text()
            time.sleep(0.2)
        yield url
        process.terminate()
        assert process.wait(30) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def _ready(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/v2/health/ready", timeout=5) as answer:
        return bool(answer.status == 200)
    return False


def test_its_command_predicts_and_a_load_test_of_its_own_finds_every_answer_right(app: Path) -> None:
    scenario = app.parent / "rows.yaml"
    scenario.write_text(ROWS)
    with _serving(app) as url:
        said = json.loads(_run(f"sluice loadtest run {scenario} --target {url} --json -", app))
    assert said["verdict"] == "passed"


def test_the_hot_path_is_compiled(app: Path) -> None:
    told = _run('python -c "import serving.request_path.predict as one; print(one.__file__)"', app)
    assert told.strip().endswith(".so")


def test_a_rayservice_can_import_its_application_and_serve_is_there(app: Path) -> None:
    _run('python -c "import deployments.serve_app"', app)
    assert "run" in _run("serve --help", app)
