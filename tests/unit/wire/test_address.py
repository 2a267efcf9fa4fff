"""Addresses of replicas are read back as they were written, and others are refused with an example."""

from __future__ import annotations

import pytest

from serving.errors import ConfigInvalid
from serving.wire.address import TcpAddress, UnixAddress, parse


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:/run/s.sock", UnixAddress("/run/s.sock")),
        ("unix:/run/with:colon", UnixAddress("/run/with:colon")),
        ("tcp:10.0.0.1:9000", TcpAddress("10.0.0.1", 9000)),
        ("tcp:replica.example:0", TcpAddress("replica.example", 0)),
        ("tcp:[::1]:9000", TcpAddress("::1", 9000)),
    ],
)
def test_an_address_is_read_back_as_it_was_written(text: str, address: UnixAddress | TcpAddress) -> None:
    assert parse(text) == address
    assert str(address) == text


@pytest.mark.parametrize("text", ["", "unix:relative", "tcp:host", "tcp::9000", "tcp:host:port", "tcp:h:70000", "x:y"])
def test_what_is_no_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigInvalid, match="unix:/path/to/socket or tcp:host:port"):
        parse(text)


def test_a_path_that_no_kernel_takes_is_refused_with_the_bound() -> None:
    assert parse("unix:/" + "a" * 106) == UnixAddress("/" + "a" * 106)
    with pytest.raises(ConfigInvalid, match="107"):
        parse("unix:/" + "a" * 107)
