"""What a hosted model takes of a replica's memory and start: so many copies of the tiny one, loaded in this process."""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.workload import mlp
from serving.inference import VersionKey
from serving.runtime.loaded_model import LoadedModel
from serving.runtime.source import ModelSource


@dataclass(frozen=True, slots=True)
class Footprint:
    """Of one model among many; the first one, which brings the libraries, is left out."""

    file_kb: float
    memory_mb: float
    load_ms: float


def footprint(copies: int) -> Footprint:
    """Resident memory and time by the copies that were loaded."""
    with tempfile.TemporaryDirectory(prefix="sizing-") as folder:
        mlp(Path(folder), count=1)
        path = Path(folder) / "mlp" / "1" / "model.onnx"
        hosted = [LoadedModel.open(ModelSource(VersionKey("first", 1), path))]
        before, began = _resident_mb(), time.perf_counter()
        hosted += [LoadedModel.open(ModelSource(VersionKey(f"copy-{n}", 1), path)) for n in range(copies)]
        load_ms = (time.perf_counter() - began) / copies * 1e3
        return Footprint(path.stat().st_size / 1024, (_resident_mb() - before) / copies, load_ms)


def _resident_mb() -> float:
    return float(psutil.Process(os.getpid()).memory_info().rss) / 2**20
