"""What the peers' models compute, with NumPy alone: it runs in their environments, where there is no Sluice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

Arrays = Mapping[str, Any]
_DTYPES = {"FP32": np.float32, "FP64": np.float64, "INT64": np.int64, "BYTES": object}


class Spec(NamedTuple):
    """A tensor as metadata tells it."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    def told(self) -> dict[str, Any]:
        """As a document."""
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}


class Arithmetic(NamedTuple):
    """A model; where `told` is false its metadata has neither inputs nor outputs."""

    inputs: Sequence[Spec]
    outputs: Sequence[Spec]
    compute: Callable[[Arrays], Arrays]
    told: bool = True


def computed(model: Arithmetic, given: Arrays) -> Arrays:
    """The outputs by name.

    Raises:
        ValueError: other inputs than the model's, or of other datatypes than its metadata tells.
    """
    if set(given) != {spec.name for spec in model.inputs}:
        raise ValueError(f"the inputs are {', '.join(spec.name for spec in model.inputs)}")
    for spec in model.inputs if model.told else ():
        if given[spec.name].dtype != _DTYPES[spec.datatype]:
            raise ValueError(f"{spec.name} is {spec.datatype}, got {given[spec.name].dtype}")
    return model.compute(given)


def _doubled(given: Arrays) -> Arrays:
    # Where nothing is told of `x`, numbers come as FP64.
    return {"y": (2 * given["x"]).astype(np.float32)}


def _weighted(given: Arrays) -> Arrays:
    return {"total": given["a"].sum(axis=1) * given["weight"], "heavy": given["weight"] > 1}


def _loud(given: Arrays) -> Arrays:
    return {"loud": np.array([word.upper() for word in given["word"]], dtype=object)}


_X, _Y = Spec("x", "FP32", (-1, 4)), Spec("y", "FP32", (-1, 4))
MODELS: Mapping[str, Arithmetic] = {
    "doubler": Arithmetic([_X], [_Y], _doubled),
    "untold": Arithmetic([_X], [_Y], _doubled, told=False),
    "weighted": Arithmetic(
        [Spec("a", "FP64", (-1, 2)), Spec("weight", "INT64", (-1,))],
        [Spec("total", "FP64", (-1,)), Spec("heavy", "BOOL", (-1,))],
        _weighted,
    ),
    "loud": Arithmetic([Spec("word", "BYTES", (-1,))], [Spec("loud", "BYTES", (-1,))], _loud),
}
