"""What is told of a model fits a table, whatever its fields are."""

from __future__ import annotations

from serving.cli.model_facts import ModelFacts

FIELDS = [
    {"name": "hour", "datatype": "FP32", "required": True, "default": None},
    {"name": "gust", "datatype": "FP32", "required": False, "default": 25.0},
    {"name": "wind", "datatype": "FP32", "required": False, "default": None},
    {"name": "browser", "datatype": "BYTES", "required": False, "default": "none"},
]


def test_each_field_is_told_with_its_type_and_what_stands_in() -> None:
    page = {"entity_keys": ["driver", "city"], "request_features": FIELDS}
    types = {"driver": "int64", "city": "string"}
    facts = ModelFacts("m", "", (1,), ready=True, by_entity={**page, "entity_key_types": types})
    assert list(facts.fields()) == [
        ("id", "driver", "whole number (int64)", "required"),
        ("id", "city", "text or whole number", "required"),
        ("feature", "hour", "FP32", "required"),
        ("feature", "gust", "FP32", "25"),
        ("feature", "wind", "FP32", "NaN"),
        ("feature", "browser", "BYTES", "none"),
    ]
    before = ModelFacts("m", "", (1,), ready=True, by_entity=page)
    assert next(before.fields()) == ("id", "driver", "text or whole number", "required"), "an older gateway's page"
