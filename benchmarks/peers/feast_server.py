"""Feast's own Python server over the Redis of the others: its registry is made, and it is started as its users do."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path

from benchmarks.features import shape as shapes
from benchmarks.features.shape import Shape
from benchmarks.peers import options


def repository(folder: Path, shape: Shape, url: str) -> Path:
    """Feast's repository with the views of the shape, applied."""
    # Heavy, and here only.
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
    from feast.types import Float32, String

    folder.mkdir(parents=True, exist_ok=True)
    # Who may do everything there takes any password.
    socket = url.removeprefix("unix://")
    connection = f"localhost:6379,db=0,username=default,password=secret,unix_socket_path={socket}"
    (folder / "feature_store.yaml").write_text(
        f"project: {shapes.PROJECT}\nregistry: registry.db\nprovider: local\nentity_key_serialization_version: 3\n"
        f"online_store:\n  type: redis\n  connection_string: '{connection}'\n"
    )
    made: list[object] = []
    for view in shape.names:
        entity = Entity(name=view, join_keys=[view], value_type=ValueType.STRING)
        schema = [Field(name=view, dtype=String), *(Field(name=name, dtype=Float32) for name in shape.columns(view))]
        file = FileSource(name=f"{view}_file", path=str(folder / "nothing.parquet"), timestamp_field="event_timestamp")
        feature_view = FeatureView(
            name=view, entities=[entity], ttl=timedelta(0), schema=schema, source=file, online=True
        )
        made += [entity, feature_view]
    FeatureStore(repo_path=str(folder)).apply(made)
    return folder


if __name__ == "__main__":
    given = options.read()
    place = repository(given.scratch / "feast", shapes.read(given.models), (given.models / shapes.STORE).read_text())
    flags = ["--host", options.ADDRESS, "--port", str(given.port), "--no-access-log", "--workers", "1"]
    start = "from feast.cli.cli import cli; cli()"
    os.execv(sys.executable, [sys.executable, "-c", start, "-c", str(place), "serve", *flags])
