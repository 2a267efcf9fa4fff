"""Entities and their features: four views of 100,000 entities with 8 floats each, together one row of the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from benchmarks import model

VIEWS = ("user", "item", "shop", "place")
ENTITIES = 100_000
WIDTH = model.FEATURES // len(VIEWS)
# Web requests are near 1: the 100 most popular entities get half of all look-ups.
ZIPF = 1.1
COLUMNS = tuple(f"f{position}" for position in range(WIDTH))

Asked = NDArray[np.int64]


@lru_cache(maxsize=1)
def tables() -> dict[str, NDArray[np.float32]]:
    """float32 [entities, 8] for each view, two decimals."""
    random = np.random.default_rng(17)
    return {view: random.normal(size=(ENTITIES, WIDTH)).round(2).astype(np.float32) for view in VIEWS}


def sample(count: int) -> Asked:
    """int64 [count, views]: which entity of each view a request is about."""
    random = np.random.default_rng(19)
    weights = np.arange(1, ENTITIES + 1) ** -ZIPF
    # Popular ones are no neighbours.
    shuffled = random.permutation(ENTITIES)
    return shuffled[random.choice(ENTITIES, size=(count, len(VIEWS)), p=weights / weights.sum())]


def instances(asked: Asked) -> list[dict[str, str]]:
    """What a caller sends: an id for each view."""
    return [{view: entity_id(number) for view, number in zip(VIEWS, row, strict=True)} for row in asked.tolist()]


def finished(asked: Asked) -> NDArray[np.float32]:
    """float32 [count, features]: the rows that the look-ups give."""
    return np.concatenate([tables()[view][asked[:, at]] for at, view in enumerate(VIEWS)], axis=1)


def stored(view: str) -> Iterator[tuple[str, Sequence[float]]]:
    """Every entity of a view: its id and its features."""
    for number, values in enumerate(tables()[view].tolist()):
        yield entity_id(number), values


def entity_id(number: int) -> str:
    """As ids often look."""
    return f"{number:08d}"
