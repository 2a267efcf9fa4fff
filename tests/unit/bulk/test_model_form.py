"""What is known of a model, from what a gateway tells; other servers tell less."""

from __future__ import annotations

from serving.bulk.model_form import FieldForm, TensorForm, model_form

METADATA = {
    "name": "m",
    "inputs": [
        {"name": "x", "datatype": "FP32", "shape": [-1, 2, 3]},
        {"name": "scale", "datatype": "FP32", "shape": [1]},
    ],
    "outputs": [{"name": "y", "datatype": "INT64", "shape": [-1]}],
}
CONFIG = {
    "max_batch_size": 64,
    "input": [{"name": "x", "optional": False}, {"name": "scale", "optional": True}],
    "dynamic_batching": {"priority_levels": 5, "default_queue_policy": {"max_queue_size": 100}},
}
FIELD = {"name": "hour", "datatype": "FP32", "required": True, "default": None}


def test_rows_priorities_and_the_queue_are_those_of_the_configuration() -> None:
    form = model_form(METADATA, CONFIG, {})
    assert (form.max_rows, form.queue_rows, form.priority_levels, form.by_entity) == (64, 100, 5, False)


def test_an_optional_input_is_not_given() -> None:
    assert [one.name for one in model_form(METADATA, CONFIG, {}).inputs] == ["x"]


def test_a_model_by_entity_tells_ids_and_fields() -> None:
    form = model_form(METADATA, {}, {"entity_keys": ["tail"], "request_features": [FIELD], "on_missing": "default"})
    assert (form.by_entity, form.entity_keys) == (True, ("tail",))
    assert form.fields == (FieldForm("hour", "FP32", required=True),)


def test_where_nothing_is_told_rows_are_asked_one_by_one() -> None:
    form = model_form(METADATA, {}, {})
    assert (form.max_rows, form.by_entity) == (0, False)
    assert form.queue_rows >= 1


def test_a_row_has_as_many_values_as_its_shape_without_the_first_dimension() -> None:
    shapes = {(-1, 2, 3): 6, (-1,): 1, (): 1, (1,): 1, (-1, -1): 0}
    assert {shape: TensorForm("x", "FP32", shape).width for shape in shapes} == shapes
