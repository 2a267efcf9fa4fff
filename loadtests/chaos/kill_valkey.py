"""Kill an embedded Valkey: `python -m loadtests.chaos.kill_valkey --which features`."""

from __future__ import annotations

from argparse import ArgumentParser

from loadtests.chaos.session import carry_out, find, options, valkey


def arguments() -> ArgumentParser:
    """Its options."""
    parser = options(main.__doc__ or "")
    parser.add_argument("--which", choices=("features", "control"), default="features")
    return parser


def main() -> None:
    """With SIGKILL; the session starts it again, the features one empty."""
    given = arguments().parse_args()

    def act() -> str:
        server = valkey(find(given.http_port), given.which)
        server.kill()
        return f"killed the {given.which} Valkey {server.pid}"

    carry_out(act)


if __name__ == "__main__":
    main()
