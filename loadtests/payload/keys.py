"""Which entry each request asks for, drawn from a seed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from loadtests.scenario.scenario import Keys, User

Choices = NDArray[np.intp]


def chosen(keys: Keys, entries: int, count: int, random: np.random.Generator) -> Choices:
    """For each of `count` requests the number of its entry; entries come in a random order by themselves."""
    if keys.pick == "uniform":
        return random.integers(0, entries, count)
    if keys.pick == "listed":
        return np.arange(count) % entries
    if keys.pick == "once":
        rounds = [random.permutation(entries) for _ in range(-(-count // entries))]
        return np.concatenate([np.zeros(0, np.intp), *rounds])[:count]
    weights = np.arange(1, entries + 1, dtype=np.float64) ** -keys.exponent
    borders = np.cumsum(weights)
    return np.searchsorted(borders, random.uniform(0, borders[-1], count)).astype(np.intp)


def mixed(users: list[User], count: int, random: np.random.Generator) -> Choices:
    """For each request the number of its user, by their shares."""
    borders = np.cumsum([user.share for user in users])
    return np.searchsorted(borders, random.uniform(0, borders[-1], count)).astype(np.intp)
