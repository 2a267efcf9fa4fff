"""What is said of a gateway that takes too long: an order may have been done, a question was just not answered."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator

import pytest

from serving.cli.failure import CommandFailed, ExitCode
from serving.cli.gateway_client import GatewayClient

SOON_S = 0.2


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes what it is sent, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_an_order_that_takes_too_long_may_have_been_done(silent: str) -> None:
    client = GatewayClient(silent, SOON_S)
    with pytest.raises(CommandFailed) as failed:
        client.order("/api/v1/models/m:load?version=1", {})
    client.close()
    assert failed.value.code == ExitCode.NOT_REACHABLE
    why = "gave no answer (timed out) and may have done it; `sluice models list` shows it"
    assert failed.value.message == f"{silent} {why}"


def test_a_question_that_takes_too_long_was_not_answered(silent: str) -> None:
    client = GatewayClient(silent, SOON_S)
    with pytest.raises(CommandFailed) as failed:
        client.get("/v2")
    client.close()
    assert (failed.value.code, failed.value.message) == (
        ExitCode.NOT_REACHABLE,
        f"{silent} does not answer (timed out)",
    )


@pytest.mark.parametrize("why", [TimeoutError("timed out"), OSError(113, "No route to host"), ConnectionRefusedError()])
def test_an_order_that_nobody_was_reached_for_was_not_done(why: OSError, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(_: http.client.HTTPConnection) -> None:
        raise why

    monkeypatch.setattr(http.client.HTTPConnection, "connect", connect)
    with pytest.raises(CommandFailed) as failed:
        GatewayClient("http://127.0.0.1:9", SOON_S).order("/api/v1/models/m:load?version=1", {})
    assert failed.value.code == ExitCode.NOT_REACHABLE
    assert "does not answer" in failed.value.message
    assert "may have" not in failed.value.message
