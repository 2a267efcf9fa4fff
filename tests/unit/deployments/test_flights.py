"""The committed flights example fits together: rows, tables, models and report (nothing is trained here)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from deployments.flights.columns import ENTITIES, FEATURES, REQUEST, TABLES
from deployments.flights.sample import HERE, MODELS, Flight, FlightSample, load_defaults, load_table, load_test_flights
from serving.inference import TensorSpec
from serving.registry.manifest import read_manifest
from serving.runtime.onnx_session import OnnxSession

VERSIONS = (1, 2)
MEBIBYTE = 2**20


@cache
def sample() -> FlightSample:
    return load_test_flights()


@cache
def session(version: int) -> OnnxSession:
    return OnnxSession.open(model_path(version))


def model_path(version: int) -> Path:
    return MODELS / "flight-delay" / str(version) / "model.onnx"


def scores(version: int, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    names = [spec.name for spec in session(version).signature.outputs]
    probabilities: npt.NDArray[np.float32] = session(version).run([rows])[names.index("probabilities")]
    return probabilities[:, 1]


def joined_rows() -> npt.NDArray[np.float32]:
    """What a feature store would make of the entity ids and the request: missing values are NaN."""
    tables = {name: load_table(name) for name in ENTITIES}

    def value(flight: Flight, feature: str) -> float | None:
        table, name = feature.split(".")
        if table == "request":
            return flight.request[name]
        key = tuple(flight.entities[part] for part in ENTITIES[table])
        return tables[table].get(key, {}).get(name)

    rows = [[value(flight, feature) for feature in FEATURES] for flight in sample().flights]
    return np.array([[np.nan if cell is None else cell for cell in row] for row in rows], dtype=np.float32)


def area_under_curve(score: npt.NDArray[np.float32], late: npt.NDArray[np.bool_]) -> float:
    """How often a late flight scores above a punctual one; ties count half."""
    on_time, delayed = np.sort(score[~late]), score[late]
    below = np.searchsorted(on_time, delayed, side="left")
    upto = np.searchsorted(on_time, delayed, side="right")
    return float((below + upto).mean() / 2 / len(on_time))


def report() -> Any:
    return json.loads((HERE / "report.json").read_text(encoding="utf-8"))


def test_two_thousand_flights_have_a_finite_row_each() -> None:
    assert len(sample().flights) == 2000
    assert sample().features == FEATURES
    assert sample().rows.shape == (2000, len(FEATURES))
    assert sample().rows.dtype == np.float32
    assert np.isfinite(sample().rows).all()


def test_rows_are_tables_joined_with_the_request_and_missing_values_are_defaults() -> None:
    joined = joined_rows()
    defaults = np.array([load_defaults()[feature] for feature in FEATURES], dtype=np.float32)

    np.testing.assert_array_equal(np.where(np.isnan(joined), defaults, joined), sample().rows)


def test_missing_values_stay_missing_in_tables_and_requests() -> None:
    missing = np.isnan(joined_rows()).mean(axis=0)

    assert missing[FEATURES.index("plane.year")] > 0.1
    assert missing[FEATURES.index("request.wind_gust")] > 0.5
    assert any(flight.request["pressure"] is None for flight in sample().flights)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_missing_value_and_its_default_get_the_same_answer(version: int) -> None:
    np.testing.assert_array_equal(scores(version, joined_rows()), scores(version, sample().rows))


@pytest.mark.parametrize("version", VERSIONS)
def test_both_versions_have_the_same_signature(version: int) -> None:
    signature = session(version).signature

    assert signature.inputs == (TensorSpec("input", "FP32", (-1, len(FEATURES))),)
    assert signature.outputs == (TensorSpec("label", "INT64", (-1,)), TensorSpec("probabilities", "FP32", (-1, 2)))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("together", [2, 3, 7, 64, 500])
def test_rows_get_the_very_same_answer_alone_and_together(version: int, together: int) -> None:
    rows = sample().rows[:500]
    alone = np.concatenate([scores(version, rows[index : index + 1]) for index in range(len(rows))])
    batches = [scores(version, rows[start : start + together]) for start in range(0, len(rows), together)]

    np.testing.assert_array_equal(np.concatenate(batches), alone)


@pytest.mark.parametrize("version", VERSIONS)
def test_probabilities_add_up_and_the_label_is_the_likelier_one(version: int) -> None:
    label, probabilities = session(version).run([sample().rows])

    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(label, probabilities[:, 1] > 0.5)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_report_says_what_the_models_are_worth_on_the_committed_flights(version: int) -> None:
    auc = area_under_curve(scores(version, sample().rows), sample().late)

    assert auc == pytest.approx(report()["versions"][str(version)]["sample_auc"], abs=1e-4)
    assert 0.65 < auc < 0.75


def test_the_report_counts_what_is_committed() -> None:
    figures = report()

    assert figures["flights"]["committed"] == len(sample().flights)
    assert figures["late_rate"]["committed"] == pytest.approx(sample().late.mean(), abs=1e-4)
    for version in figures["versions"].values():
        assert sum(tenth["flights"] for tenth in version["calibration"]) == figures["flights"]["test"]


def test_flights_of_the_training_months_are_not_among_the_test_flights() -> None:
    assert {flight.departure[:7] for flight in sample().flights} == {"2013-10", "2013-11", "2013-12"}


def test_outcomes_are_late_after_fifteen_minutes_and_no_part_of_what_is_sent() -> None:
    for flight in sample().flights:
        assert flight.late == (flight.delay_min > 15)
        assert set(flight.instance()) == {"tailnum", "carrier", "origin", "dest", *REQUEST}


def test_every_feature_comes_from_a_table_or_from_the_request() -> None:
    stored = {f"{table}.{name}" for table, names in TABLES.items() for name in names}

    assert set(FEATURES) == stored | {f"request.{name}" for name in REQUEST}
    for table, names in TABLES.items():
        assert all(tuple(row) == names for row in load_table(table).values())


def test_the_owners_facts_name_the_score_the_columns_and_samples_of_the_right_size() -> None:
    manifest = read_manifest(MODELS / "flight-delay" / "model.yaml")
    outputs = [spec.name for spec in session(1).signature.outputs]

    assert manifest.score in outputs
    assert (manifest.score_index, manifest.threshold, manifest.positive_class) == (1, 0.5, "late")
    assert [(part.name, tuple(part.features)) for part in manifest.inputs] == [("input", FEATURES)]
    assert [len(row["input"]) for row in manifest.samples] == [len(FEATURES)] * 8


def test_everything_committed_stays_below_five_megabytes() -> None:
    files = [path for path in HERE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]

    assert sum(path.stat().st_size for path in files) < 5 * MEBIBYTE
    assert all(model_path(version).stat().st_size < 400_000 for version in VERSIONS)
