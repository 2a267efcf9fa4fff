"""What the running gateway answers for 500 real flights is what onnxruntime answers when it is fed directly, by row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.flights import sample
from tests.e2e.callers import at_once, pipelined
from tests.e2e.http_client import PATIENT, Connection
from tests.e2e.scrape import BatchCount
from tests.e2e.sluice_up import SluiceUp
from tests.e2e.tensors import Array, infer_document, outputs_of, run_alone, same

FLIGHTS = 500
CALLERS = 25
VERSIONS = (1, 2)

each_version = pytest.mark.parametrize("version", VERSIONS)


@pytest.fixture(scope="module")
def rows() -> Array:
    """The finished rows of the flights, float32 [500, 20]."""
    return sample.load_test_flights().rows[:FLIGHTS]


@pytest.fixture(scope="module")
def expected(rows: Array) -> dict[int, dict[str, Array]]:
    """By version, each row run alone; hardly two rows have the same answer, so that a swap would be seen."""
    answers = {version: _alone(_model(version), rows) for version in VERSIONS}
    for of_version in answers.values():
        assert len(np.unique(of_version["probabilities"][:, 1])) > 0.9 * FLIGHTS
    assert not np.allclose(answers[1]["probabilities"], answers[2]["probabilities"], atol=1e-3)
    return answers


@each_version
def test_one_row_after_another(
    gateway: SluiceUp, rows: Array, expected: dict[int, dict[str, Array]], version: int
) -> None:
    with gateway.connect() as connection:
        answers = []
        for row in rows:
            reply = connection.request("POST", _path(version), _body(row[None]), PATIENT)
            assert reply.headers["x-sluice-version"] == str(version)
            answers.append(outputs_of(reply))
    same(_joined(answers), expected[version])


@each_version
def test_rows_of_callers_at_once_that_share_batches(
    gateway: SluiceUp, rows: Array, expected: dict[int, dict[str, Array]], version: int
) -> None:
    each = FLIGHTS // CALLERS
    count = BatchCount(gateway)
    replies = at_once(
        gateway,
        CALLERS,
        lambda number, connection: pipelined(
            connection, _path(version), [_body(row[None]) for row in rows[number * each : (number + 1) * each]]
        ),
    )
    same(_joined([outputs_of(reply) for of_caller in replies for reply in of_caller]), expected[version])
    count.end()
    batches = count.batches("flight-delay", version=str(version))
    assert count.rows("flight-delay", version=str(version)) == FLIGHTS
    assert batches < FLIGHTS / 2, f"{batches} batches for {FLIGHTS} rows: hardly any batch had more than one row"


@each_version
def test_requests_of_several_rows_from_callers_at_once(
    gateway: SluiceUp, rows: Array, expected: dict[int, dict[str, Array]], version: int
) -> None:
    cuts = np.cumsum(np.random.default_rng(7).integers(1, 40, 64))
    parts = np.split(rows, cuts[cuts < FLIGHTS])
    replies = at_once(
        gateway,
        len(parts),
        lambda number, connection: connection.request("POST", _path(version), _body(parts[number]), PATIENT),
    )
    for reply, part in zip(replies, parts, strict=True):
        assert reply.json()["outputs"][0]["shape"] == [len(part)]
    same(_joined([outputs_of(reply) for reply in replies]), expected[version])


def test_named_instances_of_callers_at_once(
    gateway: SluiceUp, rows: Array, expected: dict[int, dict[str, Array]]
) -> None:
    parts = np.array_split(rows, CALLERS)

    def ask(number: int, connection: Connection) -> list[dict[str, Any]]:
        instances = [{"input": row.tolist()} for row in parts[number]]
        reply = connection.post("/v1/models/flight-delay:predict", {"instances": instances})
        assert reply.status == 200, reply
        assert reply.headers["x-sluice-version"] == str(max(VERSIONS))
        predictions: list[dict[str, Any]] = reply.json()["predictions"]
        return predictions

    predictions = [one for of_caller in at_once(gateway, CALLERS, ask) for one in of_caller]
    answers: dict[str, Array] = {
        "label": np.array([one["label"] for one in predictions], np.int64),
        "probabilities": np.array([one["probabilities"] for one in predictions], np.float32),
    }
    same(answers, expected[max(VERSIONS)])


def test_the_highest_version_answers_where_none_is_asked_for(
    gateway: SluiceUp, rows: Array, expected: dict[int, dict[str, Array]]
) -> None:
    with gateway.connect() as connection:
        reply = connection.request("POST", "/v2/models/flight-delay/infer", _body(rows[:16]), PATIENT)
    assert reply.json()["model_version"] == str(max(VERSIONS))
    same(outputs_of(reply), {name: array[:16] for name, array in expected[max(VERSIONS)].items()})


def _model(version: int) -> Path:
    return sample.MODELS / "flight-delay" / str(version) / "model.onnx"


def _path(version: int) -> str:
    return f"/v2/models/flight-delay/versions/{version}/infer"


def _body(rows: Array) -> bytes:
    return json.dumps(infer_document({"input": rows})).encode()


def _alone(model: Path, rows: Array) -> dict[str, Array]:
    return _joined([run_alone(model, {"input": row[None]}) for row in rows])


def _joined(answers: list[dict[str, Array]]) -> dict[str, Array]:
    return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}
