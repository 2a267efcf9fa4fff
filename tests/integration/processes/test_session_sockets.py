"""The ports of a session, taken before anything is started."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from serving.errors import ConfigInvalid
from serving.processes.session_parts import Sockets, open_sockets, start_message
from serving.processes.session_plan import SessionPlan

RUN = Path("/run/s")


def test_a_port_of_grpc_that_is_taken_is_one_line_and_gives_back_the_others() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigInvalid) as refused:
            open_sockets(SessionPlan(http_port=0, grpc_port=port, metrics_port=None))
    assert refused.value.message == (
        f"port {port} on 127.0.0.1 is in use by another program; choose another one with --grpc-port"
    )


def test_grpc_is_served_where_it_has_a_port() -> None:
    sockets = open_sockets(SessionPlan(http_port=0, grpc_port=0, metrics_port=None, workers=2))
    start = start_message(SessionPlan(workers=2), "s", RUN, sockets)
    assert list(start.grpc_listeners) == [0, 1]
    assert not set(start.listeners.values()) & set(start.grpc_listeners.values())
    without = Sockets(sockets.http)
    assert start_message(SessionPlan(), "s", RUN, without).grpc_listeners == {}
    sockets.close()
