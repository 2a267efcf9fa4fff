"""The sockets that the pool listens on: private, removed at the end, never taken from somebody else."""

from __future__ import annotations

import socket
import stat
import threading
from pathlib import Path

import pytest

from serving.errors import ConfigInvalid
from serving.wire.batch_frame import decode_result
from tests.integration.tensor_stream.doubling_host import (
    ECHO,
    wide_batch,
)
from tests.integration.tensor_stream.peer import Stage


def test_stopping_ends_every_thread_and_removes_the_socket(stage: Stage, folder: Path) -> None:
    server = stage.server()
    peers = [stage.peer(server) for _ in range(3)]
    assert stat.S_IMODE((folder / "sockets").stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "sockets" / "s").stat().st_mode) == 0o600
    server.stop()
    assert all(peer.ended() for peer in peers)
    assert not (folder / "sockets" / "s").exists()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("tensor stream")]


def test_a_socket_that_a_killed_process_left_is_replaced(stage: Stage, folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(folder / "s"))
    peer = stage.peer(stage.server(f"unix:{folder}/s"))
    assert peer.catalogue.slots


def test_a_successor_keeps_its_socket_when_its_predecessor_stops(stage: Stage, folder: Path) -> None:
    first = stage.server(f"unix:{folder}/s")
    second = stage.server(f"unix:{folder}/s")
    first.stop()
    assert stage.peer(second).catalogue.slots


def test_a_file_that_is_no_socket_is_left_alone(stage: Stage, folder: Path) -> None:
    (folder / "s").write_text("precious")
    with pytest.raises(ConfigInvalid, match="cannot listen on"):
        stage.server(f"unix:{folder}/s")
    assert (folder / "s").read_text() == "precious"


def test_one_server_listens_on_several_addresses(stage: Stage, folder: Path) -> None:
    server = stage.server(f"unix:{folder}/s", "tcp:127.0.0.1:0")
    for address in range(2):
        peer = stage.peer(server, address)
        peer.send(peer.run(1, wide_batch(300_000)))
        (output,) = decode_result(peer.next(), 1, ECHO)
        assert len(output.data) == 300_000


def test_an_address_in_use_starts_nothing(stage: Stage, folder: Path) -> None:
    taken = stage.server("tcp:127.0.0.1:0").addresses[0]
    with pytest.raises(ConfigInvalid, match="cannot listen on"):
        stage.server(f"unix:{folder}/s", taken)
    assert not (folder / "s").exists()
