"""What every contender's program is told: where to listen, what to serve, where to write."""

from __future__ import annotations

import argparse
from pathlib import Path

ADDRESS = "127.0.0.1"


def read(*extra: str) -> argparse.Namespace:
    """`port`, `grpc_port`, `metrics_port`, `models` (a repository), `scratch` (a folder that is removed), and extras.

    Extras are texts that must be given, each as `--its-name`.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--grpc-port", type=int, required=True)
    parser.add_argument("--metrics-port", type=int, required=True)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--scratch", type=Path, required=True)
    for name in extra:
        parser.add_argument(f"--{name}", required=True)
    # mosec reads the same command line for flags of its own.
    return parser.parse_known_args()[0]
