"""Over gRPC: a server that keeps every promise passes, and one that breaks a promise fails its check alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from serving.conformance.check import Outcome, Result
from serving.conformance.discovery import Wanted, discover
from serving.conformance.grpc_client import GrpcClient
from serving.conformance.runner import run
from serving.conformance.suite import chosen
from tests.integration.conformance import broken_grpc
from tests.integration.conformance.good_grpc import Change, serving_grpc
from tests.integration.conformance.good_server import GoodServer
from tests.integration.conformance.http_layer import serving

CHECKS = chosen(["grpc.*"])
ONE_BY_ONE = {**broken_grpc.SERVICES, **broken_grpc.INFERENCE, **broken_grpc.REFUSALS, **broken_grpc.ERRORS}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The same models over HTTP."""
    with serving(GoodServer().answer) as address:
        yield address


def results(url: str, change: Change | None = None) -> list[Result]:
    with serving_grpc(change) as target:
        server = discover(Wanted(url, grpc=target, timeout_s=5))
        try:
            return list(run(CHECKS, server))
        finally:
            server.close()


def failed(found: list[Result]) -> set[str]:
    assert [(one.check.id, one.reason) for one in found if one.outcome is Outcome.ERROR] == []
    return {one.check.id for one in found if one.outcome is Outcome.FAIL}


def test_a_server_that_keeps_every_promise_passes_every_check(url: str) -> None:
    assert [(one.check.id, one.reason) for one in results(url) if one.outcome is not Outcome.PASS] == []


@pytest.mark.parametrize("check", sorted(ONE_BY_ONE))
def test_a_broken_promise_fails_its_check_and_no_other(check: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The server that cannot bear those who leave has to have had their calls.
    leave = GrpcClient.leave
    monkeypatch.setattr(
        GrpcClient, "leave", lambda self, method, sent, after_s: leave(self, method, sent, 100 * after_s)
    )
    assert failed(results(url, ONE_BY_ONE[check])) == {check}


@pytest.mark.parametrize("family", broken_grpc.FAMILIES, ids=min)
def test_a_promise_broken_for_every_datatype_fails_their_checks_and_no_other(family: frozenset[str], url: str) -> None:
    assert failed(results(url, broken_grpc.FAMILIES[family])) == family


@pytest.mark.parametrize("check", broken_grpc.GROUND)
def test_what_nothing_else_works_without_fails_too(check: str, url: str) -> None:
    assert check in failed(results(url, broken_grpc.GROUND[check]))


def test_every_check_has_been_seen_to_fail() -> None:
    of_families = {check for family in broken_grpc.FAMILIES for check in family}
    assert {check.id for check in CHECKS} == {*ONE_BY_ONE, *of_families, *broken_grpc.GROUND}
