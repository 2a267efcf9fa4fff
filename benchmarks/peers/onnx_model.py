"""The model as the Python peers hold it: one onnxruntime session, run on the rows of parsed bodies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime


def session(path: Path) -> onnxruntime.InferenceSession:
    """One thread and no spinning, as Sluice runs it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class OnnxModel:
    """Answers as lists, one for each output."""

    def __init__(self, path: Path) -> None:
        self._session = session(path)
        self._input = self._session.get_inputs()[0].name

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        """One body of one row, answered alone."""
        return self.answers([body["inputs"][0]["data"]])[0]

    def answers(self, rows: list[list[float]]) -> list[dict[str, Any]]:
        """Rows of one batch, answered in their order; shorter than the protocol asks, in the peers' favour."""
        outputs = self._session.run(None, {self._input: np.array(rows, dtype=np.float32)})
        columns = [output.tolist() for output in outputs]
        if len(columns) == 1:
            return [{"outputs": [{"data": values}]} for values in columns[0]]
        return [{"outputs": [{"data": values} for values in row]} for row in zip(*columns, strict=True)]


def newest(repository: Path) -> dict[str, Path]:
    """The file of each model's highest version."""
    found = sorted(repository.glob("*/[0-9]*/model.onnx"), key=lambda path: int(path.parent.name))
    return {path.parent.parent.name: path for path in found}
