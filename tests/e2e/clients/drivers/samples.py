"""What the drivers ask the models of `serving/testing/models.py`, and what these answer."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# What is said of a server: nothing but text, whatever bytes a client thinks of.
TEXTS = np.array([["", "Ünïcode ✈"], ["a\x00b", 'quo"te\\\n']], object)
HALVES = np.array([[0.5, -2.0], [65504.0, 6e-8]], np.float16)
# The values 0.5, -2, infinity and the smallest normal number, where the environment knows the type.
BRAIN = np.array([[0x3F00, 0xC000], [0x7F80, 0x0080]], np.uint16)
with suppress(ImportError):
    import ml_dtypes

    BRAIN = BRAIN.view(ml_dtypes.bfloat16)
WHOLE = np.array([[-(2**63), 2**63 - 1], [0, -1]], np.int64)
DOUBLED = np.array([[1.5, 2.5, -3.0, 4.0]], np.float32)
DATATYPES = {
    "bool": "BOOL",
    "object": "BYTES",
    "float16": "FP16",
    "bfloat16": "BF16",
    "float32": "FP32",
    "float64": "FP64",
}
DATATYPES |= {f"{sign}int{bits}": f"{sign}int{bits}".upper() for sign in ("", "u") for bits in (8, 16, 32, 64)}


def several(rows: int = 3, seed: int = 0) -> dict[str, Array]:
    """Inputs of the model `several`: four datatypes, two ranks."""
    random = np.random.default_rng(seed)
    return {
        "a": random.normal(size=(rows, 2)).astype(np.float32),
        "b": random.normal(size=(rows, 3)),
        "keep": random.integers(0, 2, rows).astype(np.bool_),
        "i": random.integers(-(2**31), 2**31 - 1, rows, np.int32),
    }


def of_several(inputs: Mapping[str, Array]) -> dict[str, Array]:
    """What `several` makes of them, to the precision of a sum of doubles."""
    return {
        "sum": inputs["a"].astype(np.float64).sum(1) + inputs["b"].sum(1),
        "kept": ~inputs["keep"],
        "next": inputs["i"] + np.int32(1),
    }


def agree(answer: Mapping[str, Array | None], expected: Mapping[str, Array]) -> None:
    """Assert equal names, shapes, datatypes and values."""
    assert set(answer) == set(expected), answer
    for name, right in expected.items():
        given = answer[name]
        assert given is not None, name
        assert given.shape == right.shape, (name, given.shape)
        assert given.dtype == right.dtype, (name, given.dtype)
        if right.dtype == np.float64:
            np.testing.assert_allclose(given, right, rtol=1e-12, err_msg=name)
        else:
            assert given.tolist() == right.tolist(), (name, given)


def encoded(texts: Array) -> Array:
    """BYTES as the clients answer them: each element as its UTF-8 bytes."""
    return np.array([text.encode() for text in texts.ravel()], object).reshape(texts.shape)
