"""Slow an embedded Valkey down, or stop it: `python -m loadtests.chaos.slow_valkey --for-s 10 --share 0.8`."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from loadtests.chaos.session import carry_out, find, number, options, valkey

_PERIOD_S = 0.05


def arguments() -> ArgumentParser:
    """Its options."""
    parser = options(main.__doc__ or "")
    parser.add_argument("--which", choices=("features", "control"), default="features")
    parser.add_argument("--for-s", type=number(0.1, 240), default=10.0, help="seconds, at the most 240 (10)")
    parser.add_argument("--share", type=number(0.01, 1), default=0.8, help="of the time, from 0.01 to 1 (0.8)")
    return parser


def main() -> None:
    """Stopped for this share of each 50 ms; a share of 1 is a standstill."""
    given = arguments().parse_args()

    def act() -> str:
        server = valkey(find(given.http_port), given.which)
        slow(server, given.for_s, given.share)
        return f"the {given.which} Valkey {server.pid} was stopped for {given.share:.0%} of {given.for_s:g} s"

    carry_out(act)


class Stoppable(Protocol):
    """A process."""

    def suspend(self) -> None:
        """Stand still."""

    def resume(self) -> None:
        """Go on."""


def slow(server: Stoppable, seconds: float, share: float) -> None:
    """Stop and go, and go at the end whatever happens."""
    ends = time.monotonic() + seconds
    with _going_afterwards(server):
        while time.monotonic() < ends:
            server.suspend()
            time.sleep(_PERIOD_S * share if share < 1 else seconds)
            server.resume()
            time.sleep(_PERIOD_S * (1 - share))


@contextmanager
def _going_afterwards(server: Stoppable) -> Iterator[None]:
    try:
        yield
    finally:
        server.resume()


if __name__ == "__main__":
    main()
