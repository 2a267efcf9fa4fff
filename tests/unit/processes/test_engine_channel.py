"""The engine carries out orders one after the other, and none while its cluster ends."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from serving.processes.engine_channel import EngineChannel

PATIENCE_S = 20.0


class Supervisor:
    """The other end of the channel."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        ours.settimeout(PATIENCE_S)
        self.stopping = threading.Event()
        self.channel = EngineChannel(theirs.detach(), self.stopping)
        self._socket, self._lines = ours, ours.makefile("rb")
        self.channel.listen()

    def ask(self, number: int) -> None:
        self._socket.sendall(json.dumps({"type": "ask", "id": number}).encode() + b"\n")

    def answer(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._lines.readline())
        return found

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    one = Supervisor()
    yield one
    one.close()


def test_what_is_being_carried_out_is_waited_for(supervisor: Supervisor) -> None:
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def carry_out(_: dict[str, Any]) -> None:
        begun.set()
        assert go_on.wait(PATIENCE_S)
        ended.set()

    supervisor.channel.obey(carry_out)
    supervisor.ask(1)
    assert begun.wait(PATIENCE_S)
    supervisor.stopping.set()
    assert not supervisor.channel.settle(0.01)
    go_on.set()
    assert supervisor.channel.settle(PATIENCE_S)
    assert ended.is_set()
    assert supervisor.answer() == {"type": "answer", "id": 1, "answer": {}}


def test_what_is_asked_of_one_that_stops_is_refused_and_not_carried_out(supervisor: Supervisor) -> None:
    carried_out: list[dict[str, Any]] = []
    supervisor.stopping.set()
    supervisor.channel.obey(carried_out.append)
    supervisor.ask(1)
    answer = supervisor.answer()
    assert (answer["id"], answer["reason"]) == (1, "unavailable")
    assert "is stopping" in answer["error"]
    assert supervisor.channel.settle(PATIENCE_S)
    assert carried_out == []
