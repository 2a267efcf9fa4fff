"""Kill a gateway worker of a session: `python -m loadtests.chaos.kill_worker`."""

from __future__ import annotations

from argparse import ArgumentParser

from loadtests.chaos.session import WORKER, carry_out, find, options, parts


def arguments() -> ArgumentParser:
    """Its options."""
    return options(main.__doc__ or "")


def main() -> None:
    """With SIGKILL; the supervisor starts another one on the same port."""
    given = arguments().parse_args()

    def act() -> str:
        workers = parts(find(given.http_port), WORKER)
        workers[0].kill()
        return f"killed worker {workers[0].pid}, one of {len(workers)}"

    carry_out(act)


if __name__ == "__main__":
    main()
