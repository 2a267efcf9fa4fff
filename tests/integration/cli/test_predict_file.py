"""How `sluice predict --file` asks: at which priority, with which headers, and what it shows meanwhile."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.cli.canned_gateway import Answers, canned_gateway
from tests.integration.cli.sluice_command import sluice, sluice_watched

METADATA = {
    "name": "flight",
    "versions": ["2"],
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}],
    "outputs": [{"name": "late", "datatype": "FP32", "shape": [-1, 1]}],
}
HOUR = {"name": "hour", "datatype": "INT64", "required": True, "default": None}
ANSWERS: Answers = {
    ("GET", "/v2/models/flight"): (200, METADATA),
    ("GET", "/v2/models/flight/config"): (200, {"max_batch_size": 64, "dynamic_batching": {"priority_levels": 5}}),
    ("GET", "/v1/models/flight"): (
        200,
        {"entity_keys": ["tail"], "request_features": [HOUR], "on_missing": "default"},
    ),
    ("POST", "/v1/models/flight:predict"): (200, {"predictions": [[0.25]]}),
}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "in.csv"
    path.write_text("tail,hour\nN1,5\n")
    return path


def test_rows_are_asked_for_at_the_last_level_of_priority(table: Path) -> None:
    out = table.with_name("out.jsonl")
    with canned_gateway(ANSWERS) as (url, sent):
        ended = sluice("predict", "flight", "--file", str(table), "--out", str(out), "--url", url)
    assert (ended.code, ended.err) == (0, "")
    path, headers, body = sent[-1]
    assert path == "/v1/models/flight:predict"
    assert headers["x-sluice-priority"] == "5"
    assert float(headers["x-request-timeout-ms"]) >= 10_000
    assert body == {"instances": [{"hour": 5, "tail": "N1"}]}
    row = {"tail": "N1", "hour": "5", "prediction": 0.25, "model_version": 2, "degraded": "plane=not_found"}
    assert json.loads(out.read_text()) == row


def test_priority_key_and_time_are_those_that_are_asked_for(table: Path) -> None:
    options = ("--priority", "1", "--key", "me", "--timeout-ms", "500", "--prefix", "p_", "--keep", "tail", "--json")
    out = table.with_name("out.jsonl")
    with canned_gateway(ANSWERS) as (url, sent):
        ended = sluice("predict", "flight", "--file", str(table), "--out", str(out), "--url", url, *options)
    _, headers, _ = sent[-1]
    asked = [headers[name] for name in ("x-sluice-priority", "x-sluice-key", "x-request-timeout-ms")]
    assert asked == ["1", "me", "500"]
    assert list(json.loads(out.read_text())) == ["tail", "p_prediction", "p_model_version", "p_degraded"]
    told = json.loads(ended.out)
    assert (told["predicted"], told["rejected"], told["rejects"]) == (1, 0, None)


def test_columns_that_do_not_fit_are_refused_before_anything_is_sent(table: Path) -> None:
    table.write_text("tail,hours\nN1,5\n")
    with canned_gateway(ANSWERS) as (url, sent):
        ended = sluice("predict", "flight", "--file", str(table), "--out", str(table.with_name("o.csv")), "--url", url)
    assert ended.code == 2
    assert ended.err == (
        "sluice: the column 'hour' is missing, which flight needs; it does not know hours; its fields are tail, hour\n"
    )
    assert all(path != "/v1/models/flight:predict" for path, _, _ in sent)
    assert [path.name for path in table.parent.iterdir()] == ["in.csv"]


def test_who_watches_sees_how_far_it_is(table: Path) -> None:
    table.write_text("tail,hour\n" + "N1,5\n" * 300)
    answers: Answers = {**ANSWERS, ("POST", "/v1/models/flight:predict"): (503, {"error": "full"})}
    with canned_gateway(answers) as (url, _):
        arguments = ("--file", str(table), "--out", str(table.with_name("o.csv")), "--url", url, "--patience", "1")
        ended = sluice_watched("predict", "flight", *arguments)
    assert ended.code == 1
    assert "predicting with flight" in ended.err
    assert "the gateway answered 503 for " in ended.err
    assert "0 rows are answered and kept in " in ended.err
