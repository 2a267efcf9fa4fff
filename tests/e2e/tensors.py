"""Arrays to and from the Open Inference Protocol's JSON, and the answer of onnxruntime itself to compare with."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from tests.e2e.http_client import Reply

Array = npt.NDArray[Any]

DATATYPES = {
    "float32": "FP32",
    "float64": "FP64",
    "int32": "INT32",
    "int64": "INT64",
    "uint8": "UINT8",
    "bool": "BOOL",
    "object": "BYTES",
}
_DTYPES = {datatype: dtype for dtype, datatype in DATATYPES.items()}


def infer_document(inputs: Mapping[str, Array]) -> dict[str, object]:
    """The body of an infer request, data flat."""
    tensors = [
        {
            "name": name,
            "shape": list(array.shape),
            "datatype": DATATYPES[array.dtype.name],
            "data": array.ravel().tolist(),
        }
        for name, array in inputs.items()
    ]
    return {"inputs": tensors}


def outputs_of(reply: Reply) -> dict[str, Array]:
    """The arrays of an infer answer by name."""
    assert reply.status == 200, reply
    return {
        one["name"]: np.array(one["data"], _DTYPES[one["datatype"]]).reshape(one["shape"])
        for one in reply.json()["outputs"]
    }


def run_alone(model: Path, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """What onnxruntime answers when it is fed directly."""
    session = _session(model)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, dict(inputs)), strict=True))


def same(answer: Mapping[str, Array], expected: Mapping[str, Array]) -> None:
    """Assert equal names, shapes and values; floats to float32 precision, since rows of a batch round differently."""
    assert set(answer) == set(expected)
    for name, array in expected.items():
        assert answer[name].shape == array.shape, name
        assert answer[name].dtype == array.dtype, name
        if array.dtype.kind == "f":
            np.testing.assert_allclose(answer[name], array, rtol=2e-6, atol=1e-6, err_msg=name)
        else:
            assert answer[name].tolist() == array.tolist(), name


def _document(name: str, array: Array) -> dict[str, object]:
    datatype = DATATYPES[array.dtype.name]
    return {"name": name, "shape": list(array.shape), "datatype": datatype, "data": array.ravel().tolist()}


@cache
def _session(model: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
