"""What one generator is told on its standard input, and what it tells at its end."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Order:
    """Its part of a load, whom it asks, and the memory that it writes to."""

    scenario: dict[str, Any]
    folder: str
    host: str
    port: int
    number: int
    of: int
    descriptor: int
    room: int
    fed: bool = False

    def line(self) -> bytes:
        """As it is sent."""
        return orjson.dumps(asdict(self)) + b"\n"


@dataclass(frozen=True, slots=True)
class Account:
    """What it used, and the names of its variants; `read_late` are answers that lay unread, `without_socket` requests.

    `lost` says of one that ended too early how; it gave no account, and what it wrote is there.
    """

    cpu_s: float
    wall_s: float
    connections: int
    preempted: int
    peak_mb: float
    variants: list[str]
    read_late: int = 0
    lost: str = ""
    without_socket: int = 0

    def line(self) -> bytes:
        """As it is sent."""
        return orjson.dumps(asdict(self)) + b"\n"
