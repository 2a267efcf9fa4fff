"""Views and a plan like those of the flights, for every test of features."""

from __future__ import annotations

import pytest

from serving.features.compilation import compile_plan
from serving.features.feature_view import FeatureView, feature
from serving.features.model_inputs import ModelInputs
from serving.features.plan import ReadPlan
from serving.inference import Signature, TensorSpec

PLANE = FeatureView("plane", ("tailnum",), (feature("year", default=2001.5), feature("seats")), max_age_s=60.0)
ROUTE = FeatureView("route", ("origin", "dest"), (feature("delay"), feature("rate"), feature("flights")))
COLUMNS = ("plane.year", "plane.seats", "route.flights", "route.delay", "request.hour", "request.gust")


def signature(*inputs: TensorSpec) -> Signature:
    return Signature(inputs, (TensorSpec("y", "FP32", (-1, 1)),))


def flights(on_missing: str = "default") -> ReadPlan:
    inputs = ModelInputs("late", (("x", COLUMNS),), (PLANE, ROUTE), {"gust": 25.0}, on_missing)  # type: ignore[arg-type]
    return compile_plan(inputs, signature(TensorSpec("x", "FP32", (-1, 6))))


@pytest.fixture
def plan() -> ReadPlan:
    return flights()
