"""Runs the checks of a driver in the client's own environment, and tells as JSON how each of them ended.

Nothing but the standard library is imported: the drivers share it, and each lives beside another client.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version

PREFIX = "check_"


@dataclass(frozen=True, slots=True)
class Server:
    """Where it is, as the clients want it: `127.0.0.1:8080`."""

    http: str
    grpc: str


def main(module: Mapping[str, object], package: str) -> None:
    """Run every check of the module that was called as `-m MODULE HTTP GRPC`."""
    server = Server(*sys.argv[1:])
    ended = {name: _ended(check, server) for name, check in module.items() if name.startswith(PREFIX)}
    print(json.dumps({"version": version(package), "checks": ended}))


def _ended(check: object, server: Server) -> str:
    """The traceback of what it raised; empty where it raised nothing."""
    assert callable(check)
    try:
        found = check(server)
        if inspect.iscoroutine(found):
            asyncio.run(found)
    except Exception:  # noqa: BLE001 - whatever a client raises is what the test tells
        return traceback.format_exc()
    return ""
