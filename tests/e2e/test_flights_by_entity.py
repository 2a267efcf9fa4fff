"""Flights asked for by their ids are answered as onnxruntime answers their finished rows, row by row."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from deployments.flights import sample
from serving.cli.demo_features import load_tables
from serving.cli.demo_flights import auc
from serving.config.effective import effective
from serving.features.store.redis_store import RedisStore
from tests.e2e.callers import at_once
from tests.e2e.http_client import PATIENT, Connection, Reply
from tests.e2e.scrape import BatchCount
from tests.e2e.sluice_up import SluiceUp
from tests.e2e.tensors import Array, run_alone, same

FLIGHTS = 500
CALLERS = 25
PATH = "/v1/models/flight-delay:predict"
SAMPLE = sample.load_test_flights()
INSTANCES: list[Mapping[str, Any]] = [flight.instance() for flight in SAMPLE.flights]


@pytest.fixture(
    scope="module",
    params=[("in-process", 1), ("in-process", 2), pytest.param(("ray", 2), marks=pytest.mark.slow)],
    ids=lambda one: f"{one[0]}-{one[1]}",
)
def served(request: pytest.FixtureRequest) -> Iterator[tuple[SluiceUp, int]]:
    """A session of an engine with a version that answers by default, and the example's tables in its features Redis."""
    engine, version = request.param
    more = {"SLUICE_MODELS__FLIGHT_DELAY__ROUTES__STABLE": str(version)}
    session = SluiceUp("--models", str(sample.MODELS), "--config", str(sample.CONFIGURATION), engine=engine, **more)
    try:
        session.wait_until_ready()
        with RedisStore(f"unix://{session.run_dir}/features.sock") as store:
            load_tables(store, effective(sample.CONFIGURATION, {}, {}).settings)
        yield session, version
        session.close()
    finally:
        session.destroy()


@pytest.fixture
def session(served: tuple[SluiceUp, int]) -> SluiceUp:
    return served[0]


def test_one_flight_after_another(served: tuple[SluiceUp, int]) -> None:
    session, version = served
    with session.connect() as connection:
        replies = [_ask(connection, [instance]) for instance in INSTANCES[:FLIGHTS]]
    assert {reply.headers["x-sluice-version"] for reply in replies} == {str(version)}
    same(_answers([one for reply in replies for one in _predictions(reply)]), _alone(version, FLIGHTS))


def test_flights_of_callers_at_once_that_share_reads_and_batches(served: tuple[SluiceUp, int]) -> None:
    session, version = served
    each = FLIGHTS // CALLERS

    def ask(number: int, connection: Connection) -> list[Any]:
        mine = INSTANCES[number * each : (number + 1) * each]
        return [one for instance in mine for one in _predictions(_ask(connection, [instance]))]

    count = BatchCount(session)
    predictions = [one for of_caller in at_once(session, CALLERS, ask) for one in of_caller]
    same(_answers(predictions), _alone(version, FLIGHTS))
    count.end()
    assert count.batches("flight-delay", version=str(version)) < FLIGHTS


def test_a_thousand_instances_of_mixed_entities_are_one_request(served: tuple[SluiceUp, int]) -> None:
    session, version = served
    with session.connect() as connection:
        same(_answers(_predictions(_ask(connection, INSTANCES[:1000]))), _alone(version, 1000))


def test_a_document_so_large_that_another_process_decodes_it(served: tuple[SluiceUp, int]) -> None:
    session, version = served
    times = 2
    with session.connect() as connection:
        body = json.dumps({"instances": INSTANCES * times}, indent=8).encode()
        assert len(body) > 1 << 20
        reply = connection.request("POST", PATH, body, PATIENT)
        bad = json.dumps({"instances": [*INSTANCES * times, {}]}, indent=8).encode()
        refused = connection.request("POST", PATH, bad, PATIENT)
    expected = _alone(version, len(INSTANCES))
    same(_answers(_predictions(reply)), {name: np.concatenate([array] * times) for name, array in expected.items()})
    assert refused.status == 400
    assert f"instances[{len(INSTANCES) * times}]: field 'tailnum' is missing" in refused.error


def test_the_area_under_the_curve_is_that_of_the_finished_rows(served: tuple[SluiceUp, int]) -> None:
    session, version = served
    with session.connect() as connection:
        parts = [INSTANCES[start : start + 500] for start in range(0, len(INSTANCES), 500)]
        predictions = [one for part in parts for one in _predictions(_ask(connection, part))]
    late = SAMPLE.late.tolist()
    offline = auc(_alone(version, len(INSTANCES))["probabilities"][:, 1].tolist(), late)
    assert round(auc([one["probabilities"][1] for one in predictions], late), 4) == round(offline, 4)


def test_an_unknown_plane_is_predicted_from_defaults_and_said(session: SluiceUp) -> None:
    with session.connect() as connection:
        reply = _ask(connection, [{**INSTANCES[0], "tailnum": "none such"}])
    assert reply.status == 200
    assert reply.headers["x-sluice-degraded"] == "plane=not_found"


def test_what_does_not_fit_is_refused_with_what_is_known(session: SluiceUp) -> None:
    with session.connect() as connection:
        unknown = _ask(connection, [{**INSTANCES[0], "tail": "N1"}])
        missing = _ask(connection, [{"tailnum": "N1"}])
    assert (unknown.status, missing.status) == (400, 400)
    assert "unknown field 'tail'; the model's fields are tailnum, carrier, origin, dest, hour" in unknown.error
    assert "field 'carrier' is missing; the model needs tailnum, carrier, origin, dest, hour" in missing.error


def test_the_models_page_tells_what_to_send_and_its_curl_works(session: SluiceUp) -> None:
    with session.connect() as connection:
        page = connection.get("/v1/models/flight-delay").json()
        reply = connection.request("POST", PATH, shlex.split(page["curl"])[-1].encode(), PATIENT)
    assert page["entity_keys"] == ["tailnum", "carrier", "origin", "dest"]
    assert reply.status == 200, reply


def _ask(connection: Connection, instances: list[Mapping[str, Any]]) -> Reply:
    return connection.post(PATH, {"instances": instances})


def _predictions(reply: Reply) -> list[dict[str, Any]]:
    assert reply.status == 200, reply
    found: list[dict[str, Any]] = reply.json()["predictions"]
    return found


def _answers(predictions: list[dict[str, Any]]) -> dict[str, Array]:
    return {
        "label": np.array([one["label"] for one in predictions], np.int64),
        "probabilities": np.array([one["probabilities"] for one in predictions], np.float32),
    }


def _alone(version: int, count: int) -> dict[str, Array]:
    """Each finished row by itself, as onnxruntime answers it."""
    model = sample.MODELS / "flight-delay" / str(version) / "model.onnx"
    answers = [run_alone(model, {"input": row[None]}) for row in SAMPLE.rows[:count]]
    return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}
