"""Views and their features."""

from __future__ import annotations

import math

import pytest

from serving.features.feature_view import FeatureView, feature


def test_a_feature_without_a_default_is_nan_or_zero() -> None:
    assert math.isnan(feature("x").default)
    assert feature("x", "int64").default == 0
    assert feature("x", "bool").default == 0


@pytest.mark.parametrize(
    ("dtype", "default"),
    [("int32", 2**31), ("int64", 1.5), ("int32", math.nan), ("float32", 1e39), ("bool", 2), ("int64", math.inf)],
)
def test_a_default_must_fit_its_dtype(dtype: str, default: float) -> None:
    with pytest.raises(ValueError, match=f"feature 'x' has the default .* which is no {dtype}"):
        feature("x", dtype, default)


def test_what_is_imputed_must_fit_its_dtype_too() -> None:
    assert feature("x", "int32", impute=7).impute == 7
    assert feature("x").impute is None
    with pytest.raises(ValueError, match=r"feature 'x' has the impute 1\.5, which is no int32"):
        feature("x", "int32", impute=1.5)


def test_an_unknown_dtype_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown dtype 'string'; there are float32"):
        feature("x", "string")


def test_a_fingerprint_is_the_same_in_every_process() -> None:
    view = FeatureView("plane", ("tailnum",), (feature("year"), feature("engines", "int64")), 60.0)
    assert view.fingerprint.hex() == "a448bca2052e9fbc"
