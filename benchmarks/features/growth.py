"""How look-ups grow: with entities a request, views, features and keys."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from benchmarks.features.contenders import BY_HAND, OFF, WARM, Comparison
from benchmarks.features.measuring import Length, compared
from benchmarks.features.shape import Shape

FIRST = Shape()
SERIES: dict[str, list[tuple[int, Shape]]] = {
    "entities": [(size, replace(FIRST, instances=size)) for size in (1, 3, 10, 30, 100)],
    "views": [(size, replace(FIRST, views=size)) for size in (1, 2, 5, 10, 20)],
    "features": [(size, replace(FIRST, views=2, width=size // 2, keys=10_000)) for size in (10, 40, 100, 400, 1_000)],
    "keys": [(size, replace(FIRST, keys=size)) for size in (1_000, 10_000, 100_000, 1_000_000)],
}
NAMES = (OFF, WARM, BY_HAND)


def measured(
    series: Sequence[str], only: Sequence[str], length: Length, save: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Every point of these series; cells and turns say which. `save` gets what there is after each point."""
    turns: list[dict[str, Any]] = []
    cells: list[dict[str, Any]] = []
    for name in series or SERIES:
        for size, shape in SERIES[name]:
            print(f"{name}: {size:,}", file=sys.stderr, flush=True)
            found = compared(Comparison(shape, NAMES, (1, 64)).of(only), length)
            point = {"series": name, "size": size}
            turns += [{**turn, **point} for turn in found["turns"]]
            cells += [{**cell, **point} for cell in found["cells"]]
            save({"turns": turns, "cells": cells})
    return {"turns": turns, "cells": cells}
