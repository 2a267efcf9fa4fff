"""Hashes that Feast wrote, for every test of its layout: tests/fixtures/feast."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.features.feast.feast_source import FeastSource, JoinKey
from serving.features.feature_view import FeatureView, feature

FILE = Path(__file__).parents[3] / "fixtures" / "feast" / "v0.67-every-type.json"
DTYPES = {"i32": "int32", "i64": "int64", "f32": "float32", "f64": "float64", "yes": "bool", "at": "int64"}
PROJECT = "flüge"


@dataclass(frozen=True)
class RecordedHash:
    """One entity of one view: `values` are Feast's answer, `hash` what stands in Redis under `name`."""

    view: FeatureView
    entity: Mapping[str, Any]
    name: bytes
    hash: Mapping[Any, bytes]
    values: Mapping[str, Any]
    event_time_ms: int


def recorded() -> list[RecordedHash]:
    return [_hash(row) for row in json.loads(FILE.read_text())["rows"]]


def view_of(name: str, key_types: Mapping[str, Any], dtypes: Mapping[str, str] = DTYPES) -> FeatureView:
    features = tuple(feature(one, dtype) for one, dtype in dtypes.items())
    source = FeastSource(PROJECT, name, tuple(JoinKey(key, kind) for key, kind in key_types.items()))
    return FeatureView(name, tuple(key_types), features, 86_400.0, source)


def _hash(row: Mapping[str, Any]) -> RecordedHash:
    fields = {bytes.fromhex(field): bytes.fromhex(data) for field, data in row["hash"].values() if data is not None}
    values = {name: float(value) if value in ("inf", "-inf") else value for name, value in row["values"].items()}
    view = view_of(row["view"], row["key_types"])
    name = bytes.fromhex(row["key"])
    return RecordedHash(view, row["entity"], name, fields, values, round(row["time_s"] * 1000))
