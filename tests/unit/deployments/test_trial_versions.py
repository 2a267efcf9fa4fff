"""Versions that rollouts are tried with are version 1 but for what is said of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from deployments.flights.columns import FEATURES
from deployments.flights.sample import MODEL, MODELS, TRIAL_MODELS, load_test_flights
from deployments.flights.trial_versions import CHANGES, SHIFT, write_trial_versions
from serving.errors import ServingError
from serving.registry.manifest import read_manifest
from serving.runtime.onnx_session import OnnxSession

Rows = npt.NDArray[np.float32]
SUNDAY = 6


def answers(models: Path, version: int, rows: Rows) -> Rows:
    probabilities: Rows = OnnxSession.open(models / MODEL / str(version) / "model.onnx").run([rows])[1]
    return probabilities


def rows() -> Rows:
    return load_test_flights().rows


def on_sundays(of: Rows) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = of[:, FEATURES.index("request.weekday")] == SUNDAY
    return found


def test_what_is_committed_is_what_version_1_is_changed_to(tmp_path: Path) -> None:
    write_trial_versions(MODELS, tmp_path)
    for version in CHANGES:
        name = Path(MODEL) / str(version) / "model.onnx"
        assert (TRIAL_MODELS / name).read_bytes() == (tmp_path / name).read_bytes(), "run `trial_versions`"


@pytest.mark.parametrize("version", [4, 6])
def test_the_slow_one_and_the_same_one_answer_as_version_1_to_the_last_bit(version: int) -> None:
    np.testing.assert_array_equal(answers(TRIAL_MODELS, version, rows()), answers(MODELS, 1, rows()))


def test_one_raises_for_flights_on_sundays_and_answers_all_others_as_version_1() -> None:
    sundays = on_sundays(rows())
    others = rows()[~sundays]
    np.testing.assert_array_equal(answers(TRIAL_MODELS, 3, others), answers(MODELS, 1, others))
    with pytest.raises(ServingError):
        answers(TRIAL_MODELS, 3, rows()[sundays][:1])
    assert 0.1 < sundays.mean() < 0.2


def test_one_gives_every_flight_a_higher_chance_of_being_late() -> None:
    chances = [answers(models, version, rows())[:, 1] for models, version in ((MODELS, 1), (TRIAL_MODELS, 5))]
    before, after = (np.log(chance / (1 - chance)) for chance in chances)
    np.testing.assert_allclose(after - before, SHIFT, atol=1e-4)


def test_what_the_models_owner_tries_them_with_shows_none_of_it() -> None:
    samples = read_manifest(MODELS / MODEL / "model.yaml").samples
    tried = np.array([sample["input"] for sample in samples], np.float32)
    assert not on_sundays(tried).any()
    assert not tried[:, FEATURES.index("request.precip")].any()
