"""Roll the gateway workers of a session: `python -m loadtests.chaos.roll_workers`, the same as `sluice restart`."""

from __future__ import annotations

from argparse import ArgumentParser

from loadtests.chaos.commands import sluice
from loadtests.chaos.session import carry_out, options


def arguments() -> ArgumentParser:
    """Its options."""
    return options(main.__doc__ or "")


def main() -> None:
    """Returns once all are replaced."""
    given = arguments().parse_args()
    carry_out(lambda: sluice("restart", "--http-port", str(given.http_port)))


if __name__ == "__main__":
    main()
