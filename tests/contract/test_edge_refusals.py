"""The same mistake has the same refusal in every way that an edge can be asked, and every error its own on both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from serving.edge.grpc.status import STATUS as CODES
from serving.edge.http.status import STATUS
from serving.errors import Overloaded, ServingError, Unavailable
from serving.testing.predictions import FakePredictions
from tests.contract import edge_ways
from tests.contract.asked import Asked, Piece, piece
from tests.contract.edge_ways import Way, refused, told

ROW = piece("x", "FP32", [[1, 2, 3, 4]])
RIGHT = Asked("doubler", [ROW])
MEAN = Asked("mlp", [piece("input", "FP32", [[1, 2, 3]])])


def _shaped(*shape: int) -> Asked:
    return replace(RIGHT, inputs=[replace(ROW, shape=shape)])


def _with(**parameters: bool | int | str) -> Asked:
    return replace(RIGHT, parameters=parameters)


# What is wrong, and what the refusal has to name.
MISTAKES: dict[str, tuple[Asked, str, str]] = {
    "an input that the model does not have": (
        replace(RIGHT, inputs=[replace(ROW, name="other")]),
        "INVALID_ARGUMENT",
        "'other'",
    ),
    "no inputs": (replace(RIGHT, inputs=[]), "INVALID_ARGUMENT", "inputs"),
    "an input beside": (replace(RIGHT, inputs=[ROW, replace(ROW, name="z")]), "INVALID_ARGUMENT", "'z'"),
    "an input twice": (replace(RIGHT, inputs=[ROW, ROW]), "INVALID_ARGUMENT", "'x'"),
    "another datatype": (
        replace(RIGHT, inputs=[piece("x", "FP64", [[1, 2, 3, 4]])]),
        "INVALID_ARGUMENT",
        "FP32",
    ),
    "a datatype that there is not": (
        replace(RIGHT, inputs=[replace(ROW, datatype="FP31")]),
        "INVALID_ARGUMENT",
        "FP31",
    ),
    "another trailing shape": (_shaped(2, 2), "INVALID_ARGUMENT", "[2, 2]"),
    "a rank that does not fit": (_shaped(4), "INVALID_ARGUMENT", "[4]"),
    "no rows": (replace(RIGHT, inputs=[Piece("x", "FP32", (0, 4), b"")]), "INVALID_ARGUMENT", "'x'"),
    "a shape that needs more": (_shaped(2, 4), "INVALID_ARGUMENT", "'x'"),
    "a shape that needs fewer": (_shaped(1, 3), "INVALID_ARGUMENT", "'x'"),
    "negative sizes": (_shaped(-2, -2), "INVALID_ARGUMENT", "-2"),
    "sizes that overflow": (_shaped(2**62, 2**62), "INVALID_ARGUMENT", "'x'"),
    "more dimensions than any model has": (_shaped(*[1] * 33, 4), "INVALID_ARGUMENT", "32"),
    "an output that the model does not have": (replace(RIGHT, outputs=["nothing"]), "INVALID_ARGUMENT", "'nothing'"),
    "an output twice": (replace(RIGHT, outputs=["y", "y"]), "INVALID_ARGUMENT", "twice"),
    "a sequence": (_with(sequence_id=1), "INVALID_ARGUMENT", "sequence_id"),
    "a reserved parameter": (_with(triton_grpc_error=True), "INVALID_ARGUMENT", "triton_grpc_error"),
    "a priority that is no number": (_with(priority="high"), "INVALID_ARGUMENT", "priority"),
    "a priority below 0": (_with(priority=-1), "INVALID_ARGUMENT", "priority"),
    "a priority that is a truth": (_with(priority=True), "INVALID_ARGUMENT", "priority"),
    "a time-out that is no number": (_with(timeout="soon"), "INVALID_ARGUMENT", "timeout"),
    "a variant that there is not": (
        replace(RIGHT, headers={"x-sluice-variant": "nobody"}),
        "INVALID_ARGUMENT",
        "'nobody'",
    ),
    "a model that there is not": (replace(RIGHT, model="nothing"), "NOT_FOUND", "'nothing'"),
    "a model of another folder": (replace(RIGHT, model="../doubler"), "NOT_FOUND", "doubler"),
    "a version that there is not": (replace(RIGHT, version="77"), "NOT_FOUND", "77"),
    "more rows than a queue ever holds": (
        replace(RIGHT, inputs=[Piece("x", "FP32", (5000, 4), bytes(5000 * 16))]),
        "RESOURCE_EXHAUSTED",
        "4096",
    ),
    "a value that the model cannot compute": (
        Asked("raises-on-13", [piece("x", "FP32", [[13]])]),
        "INTERNAL",
        "",
    ),
    "a time-out that is over": (
        Asked("hangs", [ROW], parameters={"timeout": 30_000}),
        "DEADLINE_EXCEEDED",
        "",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_refused_by_its_kind_and_the_next_request_answered(way: Way, mistake: str) -> None:
    asked, code, names = MISTAKES[mistake]
    heard = refused(way.ask(asked))
    assert (heard.code, names in heard.text) == (code, True), heard
    assert len(heard.text) > 20
    assert told(way.ask(RIGHT)).outputs == (piece("y", "FP32", [[2, 4, 6, 8]]),)


def test_an_error_names_the_variant_that_it_is_of_once_one_was_chosen(way: Way) -> None:
    failed = refused(way.ask(MISTAKES["a value that the model cannot compute"][0]))
    assert (failed.headers["x-sluice-variant"], failed.headers["x-sluice-version"]) == ("stable", "1")
    late = refused(way.ask(MISTAKES["a time-out that is over"][0]))
    assert late.headers["x-sluice-variant"] == "stable"
    nowhere = refused(way.ask(replace(RIGHT, model="nothing")))
    assert "x-sluice-variant" not in nowhere.headers


def _tree(root: type[ServingError]) -> Iterator[type[ServingError]]:
    yield root
    for kind in root.__subclasses__():
        yield from _tree(kind)


@pytest.mark.parametrize("kind", list(_tree(ServingError)))
def test_every_error_has_its_status_and_its_words(
    canned_way: tuple[Way, FakePredictions], kind: type[ServingError]
) -> None:
    way, predictions = canned_way
    predictions.reply = lambda _: kind("fühl 100 % of 'mlp'")
    heard = refused(way.ask(MEAN))
    assert (heard.code, heard.text) == (CODES[kind].name, "fühl 100 % of 'mlp'")
    assert ("retry-after" in heard.headers) is issubclass(kind, Unavailable)


def test_a_status_of_http_stands_for_one_of_grpc() -> None:
    assert {(STATUS[kind], CODES[kind].name) for kind in STATUS} == set(edge_ways.CODES.items())


def test_who_should_come_back_is_told_when(canned_way: tuple[Way, FakePredictions]) -> None:
    way, predictions = canned_way
    predictions.reply = lambda _: Overloaded("full", retry_after_s=2.5)
    assert refused(way.ask(MEAN)).headers["retry-after"] == "3"


@pytest.mark.parametrize(
    ("parameters", "priority", "timeout_s"),
    [
        ({}, 0, None),
        ({"priority": 0, "timeout": 0}, 0, None),
        ({"priority": 1}, 1, None),
        ({"priority": 2**63 - 1, "timeout": 2_500_000}, 2**63 - 1, 2.5),
        ({"what": "only", "the": True, "caller": 3}, 0, None),
    ],
)
def test_priority_and_time_reach_the_request_and_other_parameters_are_the_callers(
    canned_way: tuple[Way, FakePredictions],
    parameters: dict[str, bool | int | str],
    priority: int,
    timeout_s: float | None,
) -> None:
    way, predictions = canned_way
    asked = replace(MEAN, parameters=parameters, timeout_s=None if timeout_s is None else 20.0)
    assert told(way.ask(asked)).outputs == (piece("mean", "FP32", [[2]]),)
    accepted = predictions.accepted[-1]
    assert accepted.priority == priority
    # Over gRPC every call of the tests has a deadline.
    assert accepted.timeout_s == timeout_s or (timeout_s is None and (accepted.timeout_s or 0) > 20)


def test_the_shorter_of_two_times_counts(canned_way: tuple[Way, FakePredictions]) -> None:
    way, predictions = canned_way
    way.ask(replace(MEAN, timeout_s=5.0, parameters={"timeout": 60_000_000}))
    way.ask(replace(MEAN, timeout_s=5.0, parameters={"timeout": 1_000_000}))
    longer, shorter = [accepted.timeout_s for accepted in predictions.accepted[-2:]]
    assert longer is not None
    # A deadline has begun to run when it arrives, and clients round it up.
    assert 0 < longer < 6
    assert shorter == 1.0


def test_a_key_and_a_pinned_variant_reach_the_request(canned_way: tuple[Way, FakePredictions]) -> None:
    way, predictions = canned_way
    way.ask(replace(MEAN, headers={"x-sluice-key": "N14228", "x-sluice-variant": "canary"}, version="2"))
    accepted = predictions.accepted[-1]
    assert (accepted.key, accepted.pinned, accepted.version) == (b"N14228", "canary", 2)
