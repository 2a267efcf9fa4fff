"""The example's sluice.yaml is what its columns and defaults say, and fits its models."""

from __future__ import annotations

import pytest

from deployments.flights.columns import FEATURES, WEATHER
from deployments.flights.configuration import sluice_yaml
from deployments.flights.sample import CONFIGURATION, MODELS, load_defaults, load_table, load_test_flights
from serving.config.effective import effective
from serving.config.model_inputs import model_inputs
from serving.features.compilation import compile_plan
from serving.features.keys import row_key
from serving.features.packed import RowLayout
from serving.features.plan import ReadPlan
from serving.runtime.onnx_session import OnnxSession

SETTINGS = effective(CONFIGURATION, {}, {}).settings


@pytest.fixture(params=[1, 2])
def plan(request: pytest.FixtureRequest) -> ReadPlan:
    inputs = model_inputs(SETTINGS, "flight-delay")
    assert inputs is not None
    return compile_plan(inputs, OnnxSession.open(MODELS / f"flight-delay/{request.param}/model.onnx").signature)


def test_the_committed_file_is_current() -> None:
    assert CONFIGURATION.read_text() == sluice_yaml(load_defaults())


def test_both_versions_take_the_columns_and_only_weather_may_be_left_out(plan: ReadPlan) -> None:
    assert plan.entity_keys == ("tailnum", "carrier", "origin", "dest")
    assert {field.name for field in plan.request_fields if not field.required} == set(WEATHER)
    assert len(FEATURES) == 20


def test_every_test_flight_by_entity_becomes_exactly_its_committed_row(plan: ReadPlan) -> None:
    found = {}
    for used in plan.views:
        layout = RowLayout(used.view)
        for entity, values in load_table(used.view.name).items():
            found[row_key(used.view, entity)] = layout.pack([values[one.name] for one in used.view.features], 0)
    sample = load_test_flights()
    rows = plan.read([flight.instance() for flight in sample.flights])
    (tensor,) = plan.tensors(rows, found, 0).tensors
    assert bytes(tensor.data) == sample.rows.tobytes()
