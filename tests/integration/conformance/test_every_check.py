"""A server that keeps every promise passes; one that breaks a promise fails that promise's check, and no other."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

import pytest

from serving.conformance.check import Outcome, Result
from serving.conformance.discovery import Wanted, discover
from serving.conformance.http_checks import compression, repository, robustness, statistics
from serving.conformance.runner import run
from serving.conformance.server import NO_GRPC
from serving.conformance.suite import CHECKS
from tests.integration.conformance.broken_extensions import BINARY, BITS, COMPRESSION, FACTS
from tests.integration.conformance.broken_json import DATATYPES_OF, INFERENCE, REFUSALS, SERVER, VALUES
from tests.integration.conformance.change import INFER, Change, Document, after, at, edited, first_output, in_json
from tests.integration.conformance.good_codec import LENGTH
from tests.integration.conformance.good_server import TOKEN, GoodServer
from tests.integration.conformance.http_layer import App, Reply, Request, serving

ONE_BY_ONE = {**SERVER, **INFERENCE, **REFUSALS, **VALUES, **BINARY, **COMPRESSION, **FACTS}
FAMILIES = {**DATATYPES_OF, **BITS}
# Rules of HTTP that the layer below leaves out by name: http.wire.<name>, and one of HEAD.
WIRE = (
    "keep-alive", "pipelined", "after-error", "in-pieces", "http-1.0", "no-host", "absolute", "continue", "two-lengths",
    "bad-length", "length-and-chunks", "bad-chunk", "truncated", "truncated-chunks", "garbage", "large-body",
    "huge-length",
)  # fmt: skip


def _no_length(_request: Request, reply: Reply) -> Reply:
    headers = {name: value for name, value in reply.headers.items() if name != LENGTH}
    return Reply(reply.status, reply.body, headers)


def _shapeless(document: Document) -> None:
    del document["outputs"][0]["shape"]


# What nothing else works without: they fail, and others with them.
GROUND: dict[str, Change] = {
    "http.infer.flat": edited(in_json(at(INFER, lacks=b"binary")), first_output(data=[0.0] * 8)),
    "http.infer.output-form": edited(in_json(at(INFER, lacks=b"binary")), _shapeless),
    "http.binary.out.headers": after(at(INFER, has=b"binary_data_output"), _no_length),
}


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that a broken server never does is waited for, and large is what is large for this server."""
    monkeypatch.setattr(compression, "_ROWS", 100)
    monkeypatch.setattr(statistics, "_GATHERED_WITHIN_S", 0.01)
    monkeypatch.setattr(robustness, "_LARGE", 4 * 1024 * 1024)
    monkeypatch.setattr(repository, "_CHANGES_WITHIN_S", 0.01)


def results(app: App, breaks: AbstractSet[str] = frozenset()) -> list[Result]:
    with serving(app, breaks) as url:
        server = discover(Wanted(url, token=TOKEN, timeout_s=5))
        try:
            return list(run(CHECKS, server))
        finally:
            server.close()


def failed(found: list[Result]) -> set[str]:
    errors = [(one.check.id, one.reason) for one in found if one.outcome is Outcome.ERROR]
    assert not errors
    return {one.check.id for one in found if one.outcome is Outcome.FAIL}


def spoiled(change: Change) -> App:
    return change(GoodServer().answer)


def test_a_server_that_keeps_every_promise_passes_every_check() -> None:
    found = results(GoodServer().answer)
    not_passed = [(one.check.id, one.reason) for one in found if one.outcome is not Outcome.PASS]
    assert [one for one in not_passed if one[1] != NO_GRPC] == []


@pytest.mark.parametrize("check", sorted(ONE_BY_ONE))
def test_a_broken_promise_fails_its_check_and_no_other(check: str) -> None:
    assert failed(results(spoiled(ONE_BY_ONE[check]))) == {check}


@pytest.mark.parametrize("family", FAMILIES, ids=min)
def test_a_promise_broken_for_every_datatype_fails_their_checks_and_no_other(family: frozenset[str]) -> None:
    assert failed(results(spoiled(FAMILIES[family]))) == family


@pytest.mark.parametrize("rule", WIRE)
def test_a_broken_rule_of_http_fails_its_check_and_no_other(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The server that refuses pieces has to have a core between two of them.
    monkeypatch.setattr(robustness, "_PAUSE_S", 0.5)
    assert failed(results(GoodServer().answer, {rule})) == {f"http.wire.{rule}"}


def test_a_body_behind_the_answer_to_head_fails_its_check_and_no_other() -> None:
    assert failed(results(GoodServer().answer, {"head"})) == {"http.server.head"}


@pytest.mark.parametrize("check", GROUND)
def test_what_nothing_else_works_without_fails_too(check: str) -> None:
    assert check in failed(results(spoiled(GROUND[check])))


def test_every_check_has_been_seen_to_fail() -> None:
    over_http = {check.id for check in CHECKS if check.id.startswith("http.")}
    assert over_http == set(all_that_fail())


def all_that_fail() -> Iterator[str]:
    yield from ONE_BY_ONE
    for family in FAMILIES:
        yield from family
    yield from (f"http.wire.{rule}" for rule in WIRE)
    yield from ("http.server.head", *GROUND)
