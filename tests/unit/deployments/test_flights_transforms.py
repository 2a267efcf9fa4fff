"""What training makes of the flights as a table is what the gateway makes of them request by request, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np

from deployments.flights.columns import ENTITIES, TABLES
from deployments.flights.sample import CONFIGURATION, load_table, load_test_flights
from serving.config.effective import effective
from serving.features.compilation import compile_plan
from serving.features.keys import row_key
from serving.features.model_inputs import ModelInputs
from serving.features.packed import RowLayout
from serving.features.plan import ReadPlan
from serving.features.transforms.declared import declared
from serving.features.transforms.offline import model_columns, model_rows
from serving.inference import Signature, TensorSpec

SETTINGS = effective(CONFIGURATION, {}, {}).settings
VIEWS = tuple(section.compiled(name) for name, section in SETTINGS.feature_views.items())
SAMPLE = load_test_flights()
INSTANCES = [flight.instance() for flight in SAMPLE.flights]
INPUT: list[Any] = [
    "plane.year",
    {"cyclic": "request.hour", "period": 24},
    {"cyclic": "request.weekday", "period": 7},
    {"log1p": "request.distance"},
    {"clip": "route.flights", "low": 1, "high": 20},
    {"ratio": ["plane.mean_delay", "route.mean_delay"], "otherwise": 0},
    {"one_hot": "request.origin", "values": ["EWR", "JFK", "LGA"]},
    {"hash": "request.tailnum", "buckets": 64},
    {"lookup": "request.carrier", "table": {"UA": [1, 0.25], "B6": [2, 0.5]}, "otherwise": [0, 0.1]},
]


def plan() -> ReadPlan:
    entries = tuple(one if isinstance(one, str) else declared(one) for one in INPUT)
    width = len(model_columns(INPUT))
    signature = Signature((TensorSpec("x", "FP32", (-1, width)),), (TensorSpec("y", "FP32", (-1, 1)),))
    return compile_plan(ModelInputs("flights", (("x", entries),), VIEWS), signature)


def stored() -> dict[bytes, bytes | None]:
    found: dict[bytes, bytes | None] = {}
    for view in VIEWS:
        layout = RowLayout(view)
        for entity, values in load_table(view.name).items():
            found[row_key(view, entity)] = layout.pack([values[one.name] for one in view.features], 0)
    return found


def joined() -> dict[str, list[Any]]:
    """The flights as one table, as training has it: features joined by entity, what is missing filled in."""
    table: dict[str, list[Any]] = {}
    for view in VIEWS:
        rows = load_table(view.name)
        entities = [rows.get(tuple(str(one[key]) for key in ENTITIES[view.name]), {}) for one in INSTANCES]
        for one in view.features:
            values = [row.get(one.name) for row in entities]
            filled = [one.default if v is None or np.isnan(v) else v for v in values]
            table[f"{view.name}.{one.name}"] = list(map(np.float32, filled))
    return table | {f"request.{name}": [one[name] for one in INSTANCES] for name in INSTANCES[0]}


def test_flights_one_by_one_together_and_as_a_table_are_the_same_bits() -> None:
    assert set(TABLES) == {view.name for view in VIEWS}
    compiled, found = plan(), stored()
    fields = set(compiled.entity_keys) | {field.name for field in compiled.request_fields}
    asked = [{name: one[name] for name in fields} for one in INSTANCES]
    (tensor,) = compiled.tensors(compiled.read(asked), found, 0).tensors
    assert bytes(tensor.data) == model_rows(INPUT, joined()).astype("<f4").tobytes()
    alone = [compiled.read([one]) for one in asked]
    one_by_one = [bytes(compiled.tensors(one, found, 0).tensors[0].data) for one in alone]
    assert b"".join(one_by_one) == bytes(tensor.data)
    whole = [one for one in alone if not compiled.tensors(one, found, 0).degraded][:500]
    together = compiled.whole_rows.tensors(whole, found, 0)
    assert together is not None
    expected = [bytes(compiled.tensors(one, found, 0).tensors[0].data) for one in whole]
    assert [bytes(tensors[0].data) for tensors in together] == expected
