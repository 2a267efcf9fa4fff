"""Slow an embedded Valkey down, or stop it: `python -m loadtests.chaos.slow_valkey --for-s 10 --share 0.8`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from loadtests.chaos.session import carry_out, find, options, valkey

_PERIOD_S = 0.05


def main() -> None:
    """Stopped for this share of each 50 ms; a share of 1 is a standstill."""
    parser = options(main.__doc__ or "")
    parser.add_argument("--which", choices=("features", "control"), default="features")
    parser.add_argument("--for-s", type=float, default=10.0)
    parser.add_argument("--share", type=float, default=0.8)
    given = parser.parse_args()

    def act() -> str:
        server = valkey(find(given.http_port), given.which)
        slow(server, given.for_s, min(max(given.share, 0.0), 1.0))
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
