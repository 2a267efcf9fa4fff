"""Models of the zoo that are served in unusual ways, and requests whose answers tell their rows apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tests.e2e.tensors import Array

Inputs = dict[str, Array]
Make = Callable[[np.random.Generator, int], Inputs]


@dataclass(frozen=True, slots=True)
class Odd:
    """`make` gives a request of so many rows, one of `rows`; `shares`: its rows run in batches of several callers."""

    model: str
    make: Make
    shares: bool
    rows: Sequence[int] = (1, 2, 3, 5)


def _floats(width: int, name: str = "x", dtype: type = np.float32) -> Make:
    return lambda random, rows: {name: random.normal(scale=100, size=(rows, width)).astype(dtype)}


def _integers(dtype: type, low: int, high: int, width: int = 2, name: str = "x") -> Make:
    return lambda random, rows: {name: random.integers(low, high, (rows, width), dtype, endpoint=True)}


def _strings(random: np.random.Generator, rows: int) -> Inputs:
    words = ["", "a", "Ünïcode ✈", 'quo"te\\', "tab\tnew\nline", "\x00zero", "long " * 50]
    texts = [words[random.integers(len(words))] + str(random.integers(10**6)) for _ in range(rows * 2)]
    return {"x": np.array(texts, object).reshape(rows, 2)}


def _booleans(random: np.random.Generator, rows: int) -> Inputs:
    return {"x": random.integers(0, 2, (rows, 2)).astype(np.bool_)}


def _words(random: np.random.Generator, rows: int) -> Inputs:
    return {"word": random.choice(np.array(["EWR", "JFK", "LGA", "elsewhere"], object), (rows, 1))}


def _several(random: np.random.Generator, rows: int) -> Inputs:
    return {
        "a": random.normal(size=(rows, 2)).astype(np.float32),
        "b": random.normal(size=(rows, 3)),
        "keep": random.integers(0, 2, rows).astype(np.bool_),
        "i": random.integers(-(2**31), 2**31 - 1, rows, np.int32),
    }


def _scalar(random: np.random.Generator, rows: int) -> Inputs:
    del rows
    return {"x": np.array(random.normal(scale=100), np.float32)}


def _open_length(random: np.random.Generator, rows: int) -> Inputs:
    return {"x": random.normal(size=(rows, int(random.choice([2, 3, 7])))).astype(np.float32)}


ODD = (
    Odd("centred", _floats(3), shares=False),
    Odd("running-sum", _floats(3), shares=False),
    Odd("fixed-batch", _floats(3), shares=False, rows=(4,)),
    Odd("scalar", _scalar, shares=False, rows=(1,)),
    Odd("total", _floats(2), shares=False),
    Odd("constant", _floats(2), shares=False),
    Odd("lightgbm-like", _floats(4, "input"), shares=True),
    Odd("unranked-output", _floats(2), shares=True),
    Odd("open-length", _open_length, shares=True),
    Odd("several", _several, shares=True),
    Odd("word-lookup", _words, shares=True),
    Odd("embedding", _integers(np.int64, 0, 4, 3, "ids"), shares=True),
    Odd("echo-strings", _strings, shares=True),
    Odd("echo-bool", _booleans, shares=True),
    Odd("echo-int64", _integers(np.int64, -(2**63), 2**63 - 1), shares=True),
    Odd("echo-uint8", _integers(np.uint8, 0, 255), shares=True),
    Odd("echo-double", _floats(2, dtype=np.float64), shares=True),
)
