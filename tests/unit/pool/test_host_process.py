"""A replica is told which versions to host, again and again."""

from __future__ import annotations

from pathlib import Path

from serving.inference import VersionKey
from serving.pool.host_process import HostProcess
from serving.pool.pool_spec import PoolSpec
from serving.runtime.source import ModelSource
from serving.testing.models import divides, doubler, save


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


def test_a_version_that_was_refused_is_not_tried_again_because_others_change(tmp_path: Path) -> None:
    process = HostProcess(PoolSpec("default", (), stream=False), "r")
    broken = ModelSource(VersionKey("broken", 1), tmp_path / "broken" / "1" / "model.onnx")
    process.host_these([broken])
    why = process.host.refused()[broken.key]
    process.host_these([broken, source(tmp_path, "doubler")])
    assert process.host.refused()[broken.key] is why
    process.host_these([])
    assert process.host.refused() == {}
