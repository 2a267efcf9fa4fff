"""A model that does to its replica what native code can do: crash it, or never come back."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence

import numpy as np

from serving.inference import Hosted, Stacked, Tensor
from serving.runtime.loaded_model import LoadedModel
from serving.runtime.onnx_session import Interrupt
from serving.runtime.source import ModelSource
from serving.runtime.tensor_arrays import as_arrays

CRASH = 666.0
HANG = 777.0


class CrashingModel:
    """Doubles its rows, but for two numbers."""

    def __init__(self, model: LoadedModel) -> None:
        self._model = model
        self.hosted: Hosted = model.hosted

    def run(
        self, inputs: Sequence[Stacked | Tensor], rows: int, interrupt: Interrupt | None = None
    ) -> tuple[Tensor, ...]:
        """See the numbers above."""
        (array,) = as_arrays(inputs)
        if np.any(array == CRASH):
            ctypes.string_at(0)
        if np.any(array == HANG):
            threading.Event().wait()
        return self._model.run(inputs, rows, interrupt)


def open_model(source: ModelSource) -> CrashingModel:
    """What `PoolSpec.open_model` names."""
    return CrashingModel(LoadedModel.open(source))
