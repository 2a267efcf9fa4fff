"""Tiny models whose answers the suite knows: with them served, every check can be tried.

`sluice conformance --write-models DIR` writes them; a server that serves them is recognised by their names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from serving.conformance.datatypes import DATATYPES, Array
from serving.conformance.onnx_file import Graph, Node, Spec, onnx_bytes
from serving.conformance.tensors import Tensor

Given = Mapping[str, Tensor]
Expected = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A graph, and what it answers; `optional` are inputs that a request may leave out."""

    name: str
    graph: Graph
    answers: Callable[[Given], Expected]
    optional: frozenset[str] = frozenset()


def write_repository(root: Path) -> list[Path]:
    """Write every known model as `root/<model>/1/model.onnx`; the files written."""
    written = []
    for model in KNOWN.values():
        path = root / model.name / "1" / "model.onnx"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(onnx_bytes(model.graph))
        written.append(path)
    return written


def identity_name(datatype: str) -> str:
    """The model that answers a datatype's values with themselves."""
    return f"oip-identity-{datatype.lower()}"


def _identity(name: str, datatype: str, shape: tuple[int, ...]) -> KnownModel:
    graph = Graph((Spec("x", datatype, shape),), (Spec("y", datatype, shape),), (Node("Identity", ("x",), ("y",)),))
    return KnownModel(name, graph, lambda given: {"y": _renamed(given["x"], "y")})


def _two() -> KnownModel:
    inputs = (Spec("a", "FP32", (-1, 2)), Spec("b", "INT32", (-1, 3)))
    outputs = (Spec("twice", "FP32", (-1, 2)), Spec("same", "INT32", (-1, 3)))
    nodes = (Node("Add", ("a", "a"), ("twice",)), Node("Identity", ("b",), ("same",)))
    return KnownModel(
        "oip-two",
        Graph(inputs, outputs, nodes),
        lambda given: {
            "twice": _renamed(given["a"], "twice", given["a"].values * 2),
            "same": _renamed(given["b"], "same"),
        },
    )


def _scalar() -> KnownModel:
    graph = Graph((Spec("x", "FP32", ()),), (Spec("y", "FP32", ()),), (Node("Add", ("x", "x"), ("y",)),))
    return KnownModel("oip-scalar", graph, lambda given: {"y": _renamed(given["x"], "y", given["x"].values * 2)})


def _optional() -> KnownModel:
    inputs = (Spec("x", "FP32", (-1, 2)), Spec("factor", "FP32", ()))
    graph = Graph(inputs, (Spec("y", "FP32", (-1, 2)),), (Node("Mul", ("x", "factor"), ("y",)),), {"factor": 3.0})

    def answers(given: Given) -> Expected:
        factor = given["factor"].values[0] if "factor" in given else DATATYPES["FP32"].array([3.0])[0]
        return {"y": _renamed(given["x"], "y", given["x"].values * factor)}

    return KnownModel("oip-optional", graph, answers, frozenset({"factor"}))


def _renamed(tensor: Tensor, name: str, values: Array | None = None) -> Tensor:
    return Tensor(name, tensor.datatype, tensor.shape, tensor.values if values is None else values)


KNOWN: Mapping[str, KnownModel] = {
    one.name: one
    for one in (
        *(_identity(identity_name(datatype), datatype, (-1, 4)) for datatype in DATATYPES),
        _identity("oip-open", "FP32", (-1, -1)),
        _identity("oip-bytes-one", "BYTES", (1,)),
        _two(),
        _scalar(),
        _optional(),
    )
}
