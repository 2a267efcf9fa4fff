"""Feast writes rows of every common type and reads them back: `feast_rows.py FOLDER SOCKET`, beside a real Feast.

Leaves the repository in FOLDER, and in FOLDER/answers.json what Feast says of each entity, by view.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
from feast.types import Bool, Float32, Float64, Int32, Int64, String, UnixTimestamp

ENTITIES = 240
TYPES = {"i32": Int32, "i64": Int64, "f32": Float32, "f64": Float64, "yes": Bool, "at": UnixTimestamp, "word": String}
EDGES = {
    "i32": (0, -1, 1, 127, 128, -(2**31), 2**31 - 1),
    "i64": (0, -1, 1, 300, -(2**63), 2**63 - 1, 2**53 + 1),
    "f32": (0.0, -0.0, 0.1, -1.5, 3.4028234e38, 1e-45, float("inf")),
    "f64": (0.0, -0.0, 0.1, -1.5, 1.7976931348623157e308, 5e-324, float("-inf")),
    "yes": (True, False),
    "at": (0, 1, 1_700_000_000, 4_102_444_800),
    "word": ("", "a", "größer", "日本"),
}
NAMES = ("Zoë", "日本語", "a b", "Ω:|%", "N14228", "x" * 200, "{tag}", "emoji 🛫")
WHOLE = (0, 1, -1, 2**63 - 1, -(2**63), 2**40 + 7)


def main(folder: Path, socket: str) -> None:
    """Write all views, then ask for every entity, and for some that nobody wrote."""
    # Who may do everything there takes any password.
    connection = f"localhost:6379,db=0,username=default,password=secret,unix_socket_path={socket}"
    (folder / "feature_store.yaml").write_text(
        "project: flüge\nregistry: registry.db\nprovider: local\nentity_key_serialization_version: 3\n"
        f"online_store:\n  type: redis\n  connection_string: '{connection}'\n"
    )
    store = FeatureStore(repo_path=str(folder))
    driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
    guest = Entity(name="guest", join_keys=["guest_name"], value_type=ValueType.STRING)
    zone = Entity(name="zone", join_keys=["zone_id"], value_type=ValueType.INT32)
    made = [
        _view(folder, "driver_stats", [driver], timedelta(days=1)),
        _view(folder, "driver_trips", [driver], timedelta(0)),
        _view(folder, "guest_stats", [guest], timedelta(days=2)),
        _view(folder, "guest_in_zone", [zone, guest], timedelta(hours=12)),
    ]
    store.apply([driver, guest, zone, *made])
    answers = {}
    for number, view in enumerate(made):
        keys = {name: [_key(name, place) for place in range(ENTITIES)] for name in view.join_keys}
        store.write_to_online_store(view.name, pd.DataFrame({**keys, **_columns(number)}))
        unknown = {name: [*column, _unknown(name)] for name, column in keys.items()}
        answers[view.name] = _asked(store, view.name, unknown)
    (folder / "answers.json").write_text(json.dumps(answers))


def _view(folder: Path, name: str, entities: Sequence[Any], ttl: timedelta) -> Any:
    source = FileSource(name=f"{name}_file", path=str(folder / "nothing.parquet"), timestamp_field="event_timestamp")
    keys = {"driver": Int64, "guest": String, "zone": Int32}
    schema = [Field(name=entity.join_key, dtype=keys[entity.name]) for entity in entities]
    schema += [Field(name=feature, dtype=kind) for feature, kind in TYPES.items()]
    return FeatureView(name=name, entities=list(entities), ttl=ttl, schema=schema, source=source, online=True)


def _key(name: str, place: int) -> Any:
    if name == "driver_id":
        return WHOLE[place] if place < len(WHOLE) else place * 1_000_003
    if name == "guest_name":
        return NAMES[place] if place < len(NAMES) else f"gäst {place}"
    return place - 100


def _unknown(name: str) -> Any:
    return "nobody" if name == "guest_name" else 77_777


def _columns(number: int) -> Mapping[str, Any]:
    """Edges first, then anything; each seventh is null, each fifth row is five days old.

    No int64 is null: Feast has a column with gaps go through float64, which knows not every whole number.
    """
    random = np.random.default_rng(number)
    now = datetime.now(UTC).replace(microsecond=123_000)
    drawn = {
        "i32": random.integers(-(2**31), 2**31, ENTITIES).tolist(),
        "i64": random.integers(-(2**63), 2**63 - 1, ENTITIES).tolist(),
        "f32": random.normal(size=ENTITIES).astype(np.float32).tolist(),
        "f64": random.normal(size=ENTITIES).tolist(),
        "yes": random.integers(0, 2, ENTITIES).astype(bool).tolist(),
        "at": random.integers(0, 2**31, ENTITIES).tolist(),
        "word": [f"w{place}" for place in range(ENTITIES)],
    }
    kinds = {"i32": "Int32", "i64": "Int64", "f32": "float32", "f64": "float64", "yes": "boolean", "word": "object"}
    columns: dict[str, Any] = {}
    for place, (name, values) in enumerate(drawn.items()):
        values[: len(EDGES[name])] = EDGES[name]
        nulled = [
            None if (row + place) % 7 == 6 and row > len(WHOLE) and name != "i64" else value
            for row, value in enumerate(values)
        ]
        columns[name] = (
            pd.to_datetime(pd.Series(nulled, dtype="Int64"), unit="s", utc=True)
            if name == "at"
            else pd.Series(nulled, dtype=kinds[name])
        )
    columns["event_timestamp"] = [now - timedelta(days=5) if row % 5 == 4 else now for row in range(ENTITIES)]
    return columns


def _asked(store: Any, view: str, keys: Mapping[str, Sequence[Any]]) -> list[Mapping[str, Any]]:
    said = store.get_online_features(
        features=[f"{view}:{name}" for name in TYPES],
        entity_rows=[dict(zip(keys, row, strict=True)) for row in zip(*keys.values(), strict=True)],
    ).proto
    columns = dict(zip(said.metadata.feature_names.val, said.results, strict=True))
    times = columns["i32"].event_timestamps
    return [
        {
            "entity": {name: column[row] for name, column in keys.items()},
            "time_s": times[row].seconds + times[row].nanos / 1e9,
            "values": {name: _told(columns[name], row) for name in TYPES},
        }
        for row in range(len(times))
    ]


def _told(column: Any, row: int) -> Any:
    value = column.values[row]  # noqa: PD011 - protobuf's, not pandas'
    kind = value.WhichOneof("val")
    return None if kind is None else getattr(value, kind)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
