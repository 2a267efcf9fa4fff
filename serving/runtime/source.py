"""Where a version is and how its owner wants it run, in plain values that can be sent to another process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from serving.inference import VersionKey
from serving.registry.repository import RepositoryVersion
from serving.runtime.options import DEFAULTS, RuntimeOptions

Batching = Literal["proven", "never", "forced"]


@dataclass(frozen=True, slots=True)
class ModelSource:
    """What has to be known to host a version.

    `samples` are warm-up rows by input name, as nested lists. `batching`: "proven" believes the warm-up, "never" runs
    each request alone, "forced" believes the owner. `max_rows` is 0 where there is no bound.
    """

    key: VersionKey
    path: Path
    options: RuntimeOptions = DEFAULTS
    samples: tuple[Mapping[str, object], ...] = ()
    batching: Batching = "proven"
    max_rows: int = 0


def source_of(version: RepositoryVersion) -> ModelSource:
    """A version as its repository has it."""
    manifest = version.manifest
    wanted = manifest.onnxruntime
    options = RuntimeOptions(
        wanted.intra_op_threads,
        wanted.inter_op_threads,
        wanted.spinning,
        wanted.graph_optimisation,
        tuple(wanted.custom_op_libraries),
    )
    return ModelSource(
        version.key, version.path, options, tuple(manifest.samples), manifest.batching, manifest.max_rows or 0
    )


def dump_source(source: ModelSource) -> str:
    """One line of JSON."""
    values = asdict(source)
    return json.dumps({**values, "path": str(source.path), "key": list(source.key)})


def load_source(text: str) -> ModelSource:
    """The source that `dump_source` wrote."""
    values = json.loads(text)
    model, version = values["key"]
    values["key"] = VersionKey(model, version)
    values["path"] = Path(values["path"])
    values["samples"] = tuple(values["samples"])
    options = values["options"]
    values["options"] = RuntimeOptions(**{**options, "custom_op_libraries": tuple(options["custom_op_libraries"])})
    return ModelSource(**values)
