"""What is asked of a model before the session is called ready, and what its answer means."""

from __future__ import annotations

import json

import pytest

from serving.processes.readiness import Prober, proven, sample_request, verdict

METADATA = {
    "inputs": [
        {"name": "x", "datatype": "FP32", "shape": [-1, 3]},
        {"name": "n", "datatype": "INT64", "shape": [-1, 1]},
        {"name": "s", "datatype": "BYTES", "shape": [-1, -1]},
        {"name": "b", "datatype": "BOOL", "shape": [2]},
    ]
}


def test_a_sample_is_one_row_of_zeros_that_fits_the_signature() -> None:
    assert json.loads(sample_request(METADATA)) == {
        "inputs": [
            {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [0.0, 0.0, 0.0]},
            {"name": "n", "datatype": "INT64", "shape": [1, 1], "data": [0]},
            {"name": "s", "datatype": "BYTES", "shape": [1, 1], "data": [""]},
            {"name": "b", "datatype": "BOOL", "shape": [2], "data": [False, False]},
        ]
    }


@pytest.mark.parametrize(
    ("status", "expected"),
    [(200, "works"), (400, "answers"), (500, "answers"), (404, "not_yet"), (429, "not_yet"), (503, "not_yet")],
)
def test_only_a_prediction_that_works_or_a_model_that_objects_ends_the_wait(status: int, expected: str) -> None:
    assert verdict(status, b"{}").verdict == expected


def test_the_reason_to_wait_is_the_gateways_own_words() -> None:
    assert verdict(503, b'{"error":"no replica has it"}').text == "503: no replica has it"
    assert verdict(503, b"<html>").text == "503: <html>"


async def test_a_model_that_is_refused_meanwhile_is_not_waited_for() -> None:
    nobody_listens = Prober("127.0.0.1", 1, {})
    refused = iter([False, False, True])
    assert await proven(nobody_listens, "model", lambda _: None, lambda: next(refused)) is None
