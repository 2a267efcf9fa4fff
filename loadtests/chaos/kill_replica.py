"""Kill a replica of a session: `python -m loadtests.chaos.kill_replica --pool default`."""

from __future__ import annotations

from argparse import ArgumentParser

from loadtests.chaos.session import REPLICA, carry_out, find, options, parts


def arguments() -> ArgumentParser:
    """Its options."""
    parser = options(main.__doc__ or "")
    parser.add_argument("--pool", default="", help="its pool; any by default")
    return parser


def main() -> None:
    """With SIGKILL, as an out-of-memory killer does; Ray starts another one."""
    given = arguments().parse_args()

    def act() -> str:
        replicas = parts(find(given.http_port), title(given.pool))
        replicas[0].kill()
        return f"killed replica {replicas[0].pid}, one of {len(replicas)}"

    carry_out(act)


def title(pool: str) -> str:
    """How Ray's title of a replica begins, as its deployments are named."""
    return f"{REPLICA}pool-{pool}:" if pool else REPLICA


if __name__ == "__main__":
    main()
