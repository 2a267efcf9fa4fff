"""A replica in a process of its own: ADDRESS SECRET JOURNAL OPTIONS; told what to do by lines on its standard input."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

from serving.pool.wire_options import WireOptions
from serving.pool.wire_server import WireServer
from tests.integration.tensor_stream.doubling_host import DoublingHost


def main() -> None:
    """Say where it listens, then obey until the input ends."""
    logging.basicConfig()
    address, secret, journal, options = sys.argv[1:]
    server = WireServer(DoublingHost(Path(journal)), secret.encode(), [address], WireOptions(**json.loads(options)))
    server.start()
    sys.stdout.write(server.addresses[0] + "\n")
    sys.stdout.flush()
    for line in sys.stdin:
        if line.startswith("drain"):
            sys.stdout.write(f"{server.drain(5.0)}\n")
            sys.stdout.flush()
    server.stop()


if __name__ == "__main__":
    main()
