"""What the edges of one worker have in common."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from serving.edge.budget import ByteBudget


@dataclass(frozen=True, slots=True)
class Worker:
    """`budget` counts the bytes of all edges, since memory is the worker's; `clock` is monotonic, in seconds."""

    budget: ByteBudget
    clock: Callable[[], float] = time.monotonic
    release: str = "0"
