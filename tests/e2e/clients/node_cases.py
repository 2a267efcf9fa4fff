"""ONNX's own tests of its operators, as its package makes them: which of them the protocol can carry, and why not."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, numpy_helper
from onnx.backend.test.loader import load_model_tests

from tests.e2e.clients.drivers.questions import Array

# Datatypes of the Open Inference Protocol.
CARRIED = frozenset(
    getattr(TensorProto, name)
    for name in (
        *("BOOL", "STRING", "FLOAT16", "BFLOAT16", "FLOAT", "DOUBLE"),
        *("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"),
    )
)
_FATAL = 4
_TIMES = 4


@dataclass(frozen=True, slots=True)
class NodeCase:
    """One operator with inputs, the outputs that ONNX expects, and how near they have to be."""

    name: str
    model: onnx.ModelProto
    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]
    rtol: float
    atol: float

    def save(self, root: Path) -> None:
        """Put it into a model repository."""
        folder = root / self.name / "1"
        folder.mkdir(parents=True)
        (folder / "model.onnx").write_bytes(self.model.SerializeToString())

    def session(self) -> onnxruntime.InferenceSession:
        """The model in onnxruntime; what cannot be loaded raises."""
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _FATAL
        options.intra_op_num_threads = 1
        return onnxruntime.InferenceSession(self.model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def answers_of_onnxruntime(self) -> list[dict[str, Array]]:
        """What onnxruntime itself answers, asked four times: some operators give random values."""
        session = self.session()
        runs = [session.run(list(self.outputs), dict(self.inputs)) for _ in range(_TIMES)]
        return [dict(zip(self.outputs, answer, strict=True)) for answer in runs]


def node_cases() -> tuple[list[NodeCase], dict[str, list[str]]]:
    """The cases that a server of ONNX models can be asked, and names of the others by the reason why it cannot."""
    asked, others = [], dict[str, list[str]]()
    with warnings.catch_warnings():
        # Some compute their expectations with values that overflow.
        warnings.simplefilter("ignore")
        found = load_model_tests(kind="node")
    for case in found:
        model, data = case.model, case.data_sets
        assert model is not None, "ONNX makes the models of its node tests"
        assert data is not None
        reason = _why_not(model)
        if reason:
            others.setdefault(reason, []).append(case.name)
        else:
            ((inputs, outputs),) = data
            graph = model.graph
            asked.append(
                NodeCase(
                    case.name,
                    model,
                    _named(graph.input, inputs),
                    _named(graph.output, outputs),
                    case.rtol,
                    case.atol,
                )
            )
    return asked, others


def without_kernels(cases: Iterable[NodeCase]) -> tuple[list[NodeCase], list[str]]:
    """The cases that onnxruntime loads, and the names of those that it does not."""
    loaded, refused = [], []
    for case in cases:
        try:
            case.session()
        except Exception:  # noqa: BLE001 - onnxruntime's errors have no common class
            refused.append(case.name)
        else:
            loaded.append(case)
    return loaded, refused


def differs(case: NodeCase, answer: Mapping[str, Array], expected: Mapping[str, Array]) -> str:
    """What ONNX's own runner would object to; empty where it would not."""
    try:
        assert list(answer) == list(expected), f"outputs {list(answer)}"
        for name, right in expected.items():
            _compare(answer[name], right, case.rtol, case.atol)
    except AssertionError as error:
        return str(error)
    return ""


def texts(array: Array) -> Array:
    """Strings as text, whether they came as bytes or not; anything else as it is."""
    if array.dtype != object:
        return array
    flat = [one.decode() if isinstance(one, bytes) else str(one) for one in array.ravel()]
    return np.array(flat, object).reshape(array.shape)


def _compare(given: Array, right: Array, rtol: float, atol: float) -> None:
    # As in onnx/backend/test/runner/__init__.py, assert_similar_outputs.
    np.testing.assert_array_equal(given.shape, right.shape, err_msg="shape")
    assert given.dtype == right.dtype, f"{given.dtype} instead of {right.dtype}"
    if right.dtype == object:
        np.testing.assert_array_equal(given, right)
    elif right.dtype.name == "bfloat16":
        np.testing.assert_allclose(given.astype(np.float32), right.astype(np.float32), rtol=2**-6, atol=atol)
    else:
        np.testing.assert_allclose(given, right, rtol=rtol, atol=atol)


def _why_not(model: onnx.ModelProto) -> str:
    values = [*model.graph.input, *model.graph.output]
    kinds = {value.type.WhichOneof("value") for value in values} - {"tensor_type"}
    if kinds:
        return "a sequence or an optional value, which no tensor is"
    strange = {value.type.tensor_type.elem_type for value in values} - CARRIED
    if strange:
        names = sorted(TensorProto.DataType.Name(kind) for kind in strange)
        return f"a datatype that the protocol does not know ({_family(names[0])})"
    return "" if model.graph.input else "no input: a request has at least one"


def _family(name: str) -> str:
    return next(known for known in ("FLOAT8", "FLOAT4", "INT4", "INT2", "COMPLEX", name) if known in name)


def _named(values: Sequence[onnx.ValueInfoProto], arrays: Sequence[Array | TensorProto]) -> dict[str, Array]:
    made = [numpy_helper.to_array(one) if isinstance(one, TensorProto) else np.asarray(one) for one in arrays]
    return {value.name: texts(array) for value, array in zip(values, made, strict=True)}
