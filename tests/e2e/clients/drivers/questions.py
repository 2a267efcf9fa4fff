"""What is asked in every way, and what comes back: pickled between the tests and the clients' environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Way = Literal["json", "binary", "grpc"]
WAYS: tuple[Way, ...] = ("json", "binary", "grpc")
# Tensors by name, or what the server refused with.
Answer = Mapping[str, Array | None] | str


@dataclass(frozen=True, slots=True)
class Question:
    """Inputs of a model, the outputs that it has, and the ways in which to ask."""

    model: str
    inputs: Mapping[str, Array]
    outputs: tuple[str, ...]
    ways: tuple[Way, ...] = WAYS


def why_not_in_json(arrays: Mapping[str, Array]) -> str:
    """What the tensors have that a document cannot say; empty where there is nothing."""
    for array in arrays.values():
        if array.dtype.name in ("float16", "bfloat16"):
            return "FP16 or BF16"
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            return "infinity, or a value that is not a number"
    return ""
