"""A model whose answers tell which rows ran in the same batch, and one row of which can hold up a replica."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from serving.testing.models import FLOAT, INT64, graph_of, node, save, value

NAME = "telling"
# Rows that are marked with more than this are told; warm-up samples are not, so that rows pass as independent.
TELL = 1e6
_UNMARKED = 1e5
_NO_PLACE = 1e9
_WIDTH = 64


def telling() -> onnx.ModelProto:
    """`x` FP32 [-1, 4]: value, mark, place (from 1; 0 is none), rounds → `y` FP32 [-1], twice the value, and `batch`.

    `batch` FP32 [-1, 2] is, for a marked row, how many rows ran with it and the lowest place among them; else zeros.
    The run takes as many rounds, of some microseconds each, as its row with the most.
    """
    nodes = [
        node("Split", ["x", "widths"], ["value", "mark", "place", "rounds"], axis=1),
        node("ReduceMax", ["rounds"], ["most"], keepdims=0),
        node("Cast", ["most"], ["trips"], to=INT64),
        helper.make_node("Loop", ["trips", "yes", "eye"], ["end"], body=_round()),
        node("ReduceSum", ["end"], ["sum"], keepdims=0),
        node("Mul", ["sum", "zero"], ["nothing"]),
        node("Add", ["value", "value"], ["doubled"]),
        node("Add", ["doubled", "nothing"], ["y2d"]),
        node("Squeeze", ["y2d", "one"], ["y"]),
        node("Greater", ["place", "zero"], ["placed"]),
        node("Where", ["placed", "place", "no_place"], ["places"]),
        node("ReduceMin", ["places"], ["lowest"], axes=[0], keepdims=1),
        node("Shape", ["x"], ["shape"], start=0, end=1),
        node("Cast", ["shape"], ["count"], to=FLOAT),
        node("Reshape", ["count", "square"], ["count2d"]),
        node("Concat", ["count2d", "lowest"], ["told"], axis=1),
        node("Greater", ["mark", "unmarked"], ["marked"]),
        node("Where", ["marked", "told", "zero"], ["batch"]),
    ]
    constants = {
        "widths": np.array([1, 1, 1, 1]),
        "yes": np.array(1, np.bool_),
        "eye": np.eye(_WIDTH, dtype=np.float32),
        "zero": np.float32(0),
        "one": np.array([1]),
        "no_place": np.float32(_NO_PLACE),
        "square": np.array([1, 1]),
        "unmarked": np.float32(_UNMARKED),
    }
    outputs = [value("y", FLOAT, ["n"]), value("batch", FLOAT, ["n", 2])]
    return graph_of(nodes, [value("x", FLOAT, ["n", 4])], outputs, constants)


def save_telling(root: Path) -> None:
    """Put it into a repository, with samples that are neither marked nor slow."""
    save(root, NAME, 1, telling())
    samples = "".join(f"  - x: [{number}, 0, 0, 0]\n" for number in (1, 2.5, -3, 40))
    (root / NAME / "model.yaml").write_text(f"samples:\n{samples}")


def _round() -> onnx.GraphProto:
    nodes = [helper.make_node("MatMul", ["state", "eye"], ["next"]), helper.make_node("Identity", ["go"], ["go_on"])]
    inputs = [
        value("round", INT64, []),
        value("go", TensorProto.BOOL, []),
        value("state", FLOAT, [_WIDTH, _WIDTH]),
    ]
    outputs = [value("go_on", TensorProto.BOOL, []), value("next", FLOAT, [_WIDTH, _WIDTH])]
    return helper.make_graph(nodes, "round", inputs, outputs)
