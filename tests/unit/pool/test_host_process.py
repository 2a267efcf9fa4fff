"""A replica is told which versions to host, again and again."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import pytest

from serving.inference import VersionKey
from serving.pool.host_process import HostProcess
from serving.pool.pool_spec import PoolSpec
from serving.runtime.source import ModelSource
from serving.testing.models import divides, doubler, mlp, save

ROOT = Path(__file__).parents[3]
MB, HIDDEN_PER_MB = (3, 7, 14, 27, 14, 7), 7_000


def source(root: Path, model: str, version: int = 1) -> ModelSource:
    proto = doubler() if model == "doubler" else divides()
    return ModelSource(VersionKey(model, version), save(root, model, version, proto))


def test_what_is_new_is_loaded_what_is_gone_unloaded_and_the_rest_left_alone(tmp_path: Path) -> None:
    process = HostProcess(PoolSpec("default", (), stream=False), "r")
    first, second = source(tmp_path, "doubler"), source(tmp_path, "divides")
    process.host_these([first])
    kept = process.host.catalogue()[first.key]
    process.host_these([first, second])
    assert set(process.host.catalogue()) == {first.key, second.key}
    assert process.host.catalogue()[first.key] is kept
    process.host_these([second])
    assert set(process.host.catalogue()) == {second.key}
    assert process.host.settled()


def test_it_listens_on_the_address_of_its_own_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s" * 32)
    secret.chmod(0o600)
    monkeypatch.setenv("SLUICE_POOL_HOST", "127.0.0.2")
    process = HostProcess(PoolSpec("default", (), secret_path=str(secret)), "r")
    process.host_these([])
    try:
        assert process.member().address.startswith("tcp:127.0.0.2:")
    finally:
        process.leave()


def test_a_version_that_was_refused_is_not_tried_again_because_others_change(tmp_path: Path) -> None:
    process = HostProcess(PoolSpec("default", (), stream=False), "r")
    broken = ModelSource(VersionKey("broken", 1), tmp_path / "broken" / "1" / "model.onnx")
    process.host_these([broken])
    why = process.host.refused()[broken.key]
    process.host_these([broken, source(tmp_path, "doubler")])
    assert process.host.refused()[broken.key] is why
    process.host_these([])
    assert process.host.refused() == {}


def test_versions_come_and_go_without_a_collection_that_holds_every_thread(tmp_path: Path) -> None:
    process = HostProcess(PoolSpec("default", (), stream=False), "r")
    process.host_these([])
    collections: list[str] = []
    # What Python begins by itself is not meant.
    gc.disable()
    gc.callbacks.append(lambda phase, _: collections.append(phase))
    try:
        process.host_these([source(tmp_path, "doubler")])
        process.host_these([])
    finally:
        gc.callbacks.pop()
        gc.enable()
    assert collections == []


def test_models_that_come_and_go_leave_a_process_as_large_as_it_was(tmp_path: Path) -> None:
    models = [save(tmp_path, "doubler", 1, doubler())]
    models += [save(tmp_path, "wide", number, mlp(hidden=HIDDEN_PER_MB * mb)) for number, mb in enumerate(MB, start=1)]
    # In a process of its own: this one's memory is full of what other tests left.
    program = (sys.executable, "-m", "tests.unit.pool.coming_and_going", *map(str, models))
    told = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    after = [float(line) for line in told.split()]
    # Without care for the ends of glibc's arenas it grows by 65 MB.
    assert max(after) - after[0] < 8, after
