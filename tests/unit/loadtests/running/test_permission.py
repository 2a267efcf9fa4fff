"""Who may be asked."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from loadtests.running.permission import addresses_of, check_own, permitted_address
from serving.errors import ConfigInvalid


@pytest.mark.parametrize(
    ("target", "address"),
    [
        ("http://127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("http://127.0.0.1", ("127.0.0.1", 80)),
        ("http://[::1]:9", ("::1", 9)),
    ],
)
def test_this_machine_may_be_asked(target: str, address: tuple[str, int]) -> None:
    assert permitted_address(target, None) == address


def test_another_host_needs_its_name_said() -> None:
    with pytest.raises(ConfigInvalid, match=r"--yes-load 192\.0\.2\.1"):
        permitted_address("http://192.0.2.1:8080", None)
    with pytest.raises(ConfigInvalid, match=r"--yes-load 192\.0\.2\.1"):
        permitted_address("http://192.0.2.1:8080", "192.0.2.2")
    assert permitted_address("http://192.0.2.1:8080", "192.0.2.1") == ("192.0.2.1", 8080)


def test_a_name_is_looked_up_once_and_what_was_permitted_is_what_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    said = ["127.0.0.1", "192.0.2.1"]

    def looked_up(_: str, port: int, **__: Any) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (said.pop(0), port))]

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    assert permitted_address("http://changing.test:8080", None) == ("127.0.0.1", 8080)
    with pytest.raises(ConfigInvalid, match="not this machine"):
        permitted_address("http://changing.test:8080", None)


def test_a_name_that_is_this_machine_s_in_part_is_not_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    places = [(socket.AF_INET6, 1, 6, "", ("2001:db8::1", 80, 0, 0)), (socket.AF_INET, 1, 6, "", ("127.0.0.1", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: places)
    assert addresses_of("http://both.test") == [("127.0.0.1", 80), ("2001:db8::1", 80)]
    with pytest.raises(ConfigInvalid, match=r"--yes-load both\.test"):
        permitted_address("http://both.test", None)


@pytest.mark.parametrize("target", ["https://127.0.0.1", "http://127.0.0.1/path", "http://", "http://127.0.0.1:99999"])
def test_what_is_no_server_of_http_is_told_so(target: str) -> None:
    with pytest.raises(ConfigInvalid):
        permitted_address(target, None)


def test_nothing_here_is_broken_for_a_server_elsewhere() -> None:
    check_own("http://here.test:8080", ("127.0.0.1", 8080))
    with pytest.raises(ConfigInvalid, match=r"this machine, which there\.test is not"):
        check_own("http://there.test:8080", ("192.0.2.1", 8080))
