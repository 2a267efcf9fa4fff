"""A zoo of tiny ONNX models: one for each way in which real models are awkward."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_OPSET = 17
_IR_VERSION = 8
_ML_DOMAIN = "ai.onnx.ml"

FLOAT = TensorProto.FLOAT
INT64 = TensorProto.INT64
STRING = TensorProto.STRING

Build = Callable[[], onnx.ModelProto]


def save(root: Path, model: str, version: int, proto: onnx.ModelProto) -> Path:
    """Put a model where a repository has it: `root/model/version/model.onnx`, whose path is returned."""
    path = root / model / str(version) / "model.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(proto.SerializeToString())
    return path


def save_zoo(root: Path) -> dict[str, Path]:
    """Every servable model of the zoo as version 1, by name."""
    return {name: save(root, name, 1, build()) for name, build in ZOO.items()}


def mlp(seed: int = 0, features: int = 32, hidden: int = 64, classes: int = 2) -> onnx.ModelProto:
    """`input` FP32 [-1, 32] → `probabilities` FP32 [-1, 2]: what everything is measured with."""
    random = np.random.default_rng(seed)
    weights = {
        "w1": random.normal(size=(features, hidden)) / np.sqrt(features),
        "b1": random.normal(size=hidden),
        "w2": random.normal(size=(hidden, classes)) / np.sqrt(hidden),
        "b2": random.normal(size=classes),
    }
    nodes = [
        helper.make_node("Gemm", ["input", "w1", "b1"], ["h1"]),
        helper.make_node("Relu", ["h1"], ["h2"]),
        helper.make_node("Gemm", ["h2", "w2", "b2"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
    ]
    return graph_of(
        nodes,
        [value("input", FLOAT, ["batch", features])],
        [value("probabilities", FLOAT, ["batch", classes])],
        {name: value.astype(np.float32) for name, value in weights.items()},
    )


def doubler() -> onnx.ModelProto:
    """`x` FP32 [-1, 4] → `y` = 2x: an answer that can be told from its row at sight."""
    return graph_of([node("Add", ["x", "x"], ["y"])], [value("x", FLOAT, ["n", 4])], [value("y", FLOAT, ["n", 4])])


def scalar() -> onnx.ModelProto:
    """`x` FP32 [] → `y` = x + 1, FP32 []: no dimension for rows."""
    return graph_of(
        [node("Add", ["x", "one"], ["y"])],
        [value("x", FLOAT, [])],
        [value("y", FLOAT, [])],
        {"one": np.float32(1)},
    )


def fixed_batch(rows: int = 4) -> onnx.ModelProto:
    """`x` FP32 [4, 3] → `y` FP32 [4, 3], the running sum over rows: takes four rows, never more or fewer."""
    return graph_of(
        [node("CumSum", ["x", "axis"], ["y"])],
        [value("x", FLOAT, [rows, 3])],
        [value("y", FLOAT, [rows, 3])],
        {"axis": np.int64(0)},
    )


def centred() -> onnx.ModelProto:
    """`x` FP32 [-1, 3] → `y` = x minus the mean over the rows: rows influence each other."""
    return graph_of(
        [node("ReduceMean", ["x"], ["mean"], axes=[0], keepdims=1), node("Sub", ["x", "mean"], ["y"])],
        [value("x", FLOAT, ["n", 3])],
        [value("y", FLOAT, ["n", 3])],
    )


def running_sum() -> onnx.ModelProto:
    """`x` FP32 [-1, 3] → `y`, sums over the rows so far: a row depends on those before it only."""
    return graph_of(
        [node("CumSum", ["x", "axis"], ["y"])],
        [value("x", FLOAT, ["n", 3])],
        [value("y", FLOAT, ["n", 3])],
        {"axis": np.int64(0)},
    )


def lightgbm_like() -> onnx.ModelProto:
    """`input` FP32 [-1, 4] → `label` INT64 declared as [1], one for each row; `probabilities` FP32 [-1, 2]."""
    random = np.random.default_rng(3)
    nodes = [
        node("MatMul", ["input", "w"], ["logits"]),
        node("Softmax", ["logits"], ["probabilities"]),
        node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
    ]
    return graph_of(
        nodes,
        [value("input", FLOAT, [None, 4])],
        [value("label", INT64, [1]), value("probabilities", FLOAT, [None, 2])],
        {"w": random.normal(size=(4, 2)).astype(np.float32)},
    )


def echo(kind: int = STRING, width: int | str = 2) -> onnx.ModelProto:
    """`x` [-1, 2] of any type → `y`, the same: what goes in must come out."""
    return graph_of(
        [node("Identity", ["x"], ["y"])], [value("x", kind, ["n", width])], [value("y", kind, ["n", width])]
    )


def word_lookup() -> onnx.ModelProto:
    """`word` BYTES [-1, 1] → `id` INT64 [-1, 1] and `back` BYTES [-1, 1]; unknown words are -1 and "?"."""
    words = ["EWR", "JFK", "LGA"]
    nodes = [
        ml_node("LabelEncoder", ["word"], ["id"], keys_strings=words, values_int64s=[0, 1, 2], default_int64=-1),
        ml_node("LabelEncoder", ["id"], ["back"], keys_int64s=[0, 1, 2], values_strings=words, default_string="?"),
    ]
    return graph_of(
        nodes,
        [value("word", STRING, ["n", 1])],
        [value("id", INT64, ["n", 1]), value("back", STRING, ["n", 1])],
    )


def several() -> onnx.ModelProto:
    """`a` FP32 [-1, 2], `b` FP64 [-1, 3], `keep` BOOL [-1], `i` INT32 [-1] → `sum` FP64, `kept` BOOL, `next` INT32."""
    nodes = [
        node("Cast", ["a"], ["a64"], to=TensorProto.DOUBLE),
        node("ReduceSum", ["a64", "axes"], ["sa"], keepdims=0),
        node("ReduceSum", ["b", "axes"], ["sb"], keepdims=0),
        node("Add", ["sa", "sb"], ["sum"]),
        node("Not", ["keep"], ["kept"]),
        node("Add", ["i", "one"], ["next"]),
    ]
    inputs = [
        value("a", FLOAT, ["n", 2]),
        value("b", TensorProto.DOUBLE, ["n", 3]),
        value("keep", TensorProto.BOOL, ["n"]),
        value("i", TensorProto.INT32, ["n"]),
    ]
    outputs = [
        value("sum", TensorProto.DOUBLE, ["n"]),
        value("kept", TensorProto.BOOL, ["n"]),
        value("next", TensorProto.INT32, ["n"]),
    ]
    return graph_of(nodes, inputs, outputs, {"axes": np.array([1], np.int64), "one": np.int32(1)})


def embedding(words: int = 5) -> onnx.ModelProto:
    """`ids` INT64 [-1, 3] → `y` FP32 [-1, 2]: raises for an id outside of 0..4."""
    table = np.random.default_rng(5).normal(size=(words, 2)).astype(np.float32)
    nodes = [
        node("Gather", ["table", "ids"], ["rows"]),
        node("ReduceSum", ["rows", "axes"], ["y"], keepdims=0),
    ]
    return graph_of(
        nodes,
        [value("ids", INT64, ["n", 3])],
        [value("y", FLOAT, ["n", 2])],
        {"table": table, "axes": np.array([1], np.int64)},
    )


def raises_on_13() -> onnx.ModelProto:
    """`x` FP32 [-1, 1] → `y` = x; raises for a batch in which any row is exactly 13."""
    nodes = [
        node("Equal", ["x", "bad"], ["is_bad"]),
        node("Cast", ["is_bad"], ["one_if_bad"], to=INT64),
        node("Gather", ["table", "one_if_bad"], ["zero"]),
        node("Add", ["x", "zero"], ["y"]),
    ]
    return graph_of(
        nodes,
        [value("x", FLOAT, ["n", 1])],
        [value("y", FLOAT, ["n", 1])],
        {"bad": np.float32(13), "table": np.zeros(1, np.float32)},
    )


def short_answer(above: float = 100_000.0) -> onnx.ModelProto:
    """`x` FP32 [-1, 2] → `y` = x, but rows that begin with a larger number than `above` are missing from the answer.

    Warm-up samples are smaller, so it passes as batchable.
    """
    nodes = [
        node("Slice", ["x", "zero", "one", "axis"], ["first"]),
        node("LessOrEqual", ["first", "above"], ["keep2d"]),
        node("Squeeze", ["keep2d", "axis"], ["keep"]),
        node("Compress", ["x", "keep"], ["y"], axis=0),
    ]
    return graph_of(
        nodes,
        [value("x", FLOAT, ["n", 2])],
        [value("y", FLOAT, ["n", 2])],
        {
            "zero": np.array([0], np.int64),
            "one": np.array([1], np.int64),
            "axis": np.array([1], np.int64),
            "above": np.float32(above),
        },
    )


def slow(rounds: int = 200, width: int = 64) -> onnx.ModelProto:
    """`x` FP32 [-1, 4] → `y` = 2x, after `rounds` rounds of multiplying matrices of `width`: one run takes its time.

    About 5 us a round at width 64, whatever the number of rows; interruptible between rounds.
    """
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["state", "m"], ["product"]),
            helper.make_node("Identity", ["go"], ["go_on"]),
        ],
        "round",
        [
            value("round", INT64, []),
            value("go", TensorProto.BOOL, []),
            value("state", FLOAT, [width, width]),
        ],
        [value("go_on", TensorProto.BOOL, []), value("product", FLOAT, [width, width])],
    )
    nodes = [
        helper.make_node("Loop", ["rounds", "yes", "m"], ["end"], body=body),
        node("ReduceSum", ["end"], ["sum"], keepdims=0),
        node("Mul", ["sum", "zero"], ["nothing"]),
        node("Add", ["x", "x"], ["doubled"]),
        node("Add", ["doubled", "nothing"], ["y"]),
    ]
    return graph_of(
        nodes,
        [value("x", FLOAT, ["n", 4])],
        [value("y", FLOAT, ["n", 4])],
        {
            "rounds": np.int64(rounds),
            "yes": np.array(1, np.bool_),
            "m": np.eye(width, dtype=np.float32),
            "zero": np.float32(0),
        },
    )


def with_default() -> onnx.ModelProto:
    """`x` FP32 [-1, 4] → `y` = x * factor + offset; both may be given and are 2 and 0 else."""
    return graph_of(
        [node("Mul", ["x", "factor"], ["scaled"]), node("Add", ["scaled", "offset"], ["y"])],
        [value("x", FLOAT, ["n", 4]), value("factor", FLOAT, []), value("offset", FLOAT, [4])],
        [value("y", FLOAT, ["n", 4])],
        {"factor": np.float32(2), "offset": np.zeros(4, np.float32)},
    )


def open_length() -> onnx.ModelProto:
    """`x` FP32 [-1, -1] → `mean` FP32 [-1] of each row: rows of any length, only equal ones can share a batch."""
    return graph_of(
        [node("ReduceMean", ["x"], ["mean"], axes=[1], keepdims=0)],
        [value("x", FLOAT, ["n", "length"])],
        [value("mean", FLOAT, ["n"])],
    )


def constant() -> onnx.ModelProto:
    """`x` FP32 [-1, 2] → `y` FP32 [-1, 2] of zeros: its answers prove nothing about rows."""
    return graph_of([node("Sub", ["x", "x"], ["y"])], [value("x", FLOAT, ["n", 2])], [value("y", FLOAT, ["n", 2])])


def total() -> onnx.ModelProto:
    """`x` FP32 [-1, 2] → `y` FP32 [], one sum for all rows."""
    return graph_of(
        [node("ReduceSum", ["x"], ["y"], keepdims=0)], [value("x", FLOAT, ["n", 2])], [value("y", FLOAT, [])]
    )


def unranked_output() -> onnx.ModelProto:
    """`x` FP32 [-1, 2] → `y` = 2x, declared without a shape."""
    return graph_of([node("Add", ["x", "x"], ["y"])], [value("x", FLOAT, ["n", 2])], [value("y", FLOAT, None)])


def divides() -> onnx.ModelProto:
    """`x` INT64 [-1, 1], `by` INT64 [-1, 1] → `y` = x / by: raises for by = 0, and crashes the process for `CRASH`."""
    inputs = [value("x", INT64, ["n", 1]), value("by", INT64, ["n", 1])]
    return graph_of([node("Div", ["x", "by"], ["y"])], inputs, [value("y", INT64, ["n", 1])])


# The one quotient that does not fit: x86 processors raise SIGFPE, and onnxruntime checks for 0 alone. (ARM answers x.)
CRASH = (-(2**63), -1)


ZOO: Mapping[str, Build] = {
    "mlp": mlp,
    "doubler": doubler,
    "scalar": scalar,
    "fixed-batch": fixed_batch,
    "centred": centred,
    "running-sum": running_sum,
    "lightgbm-like": lightgbm_like,
    "echo-strings": echo,
    "echo-bool": lambda: echo(TensorProto.BOOL),
    "echo-int64": lambda: echo(INT64),
    "echo-double": lambda: echo(TensorProto.DOUBLE),
    "echo-half": lambda: echo(TensorProto.FLOAT16),
    "echo-bfloat16": lambda: echo(TensorProto.BFLOAT16),
    "echo-uint8": lambda: echo(TensorProto.UINT8),
    "word-lookup": word_lookup,
    "several": several,
    "embedding": embedding,
    "raises-on-13": raises_on_13,
    "short-answer": short_answer,
    "slow": slow,
    "open-length": open_length,
    "with-default": with_default,
    "constant": constant,
    "total": total,
    "unranked-output": unranked_output,
    "divides": divides,
}


def save_with_weights_beside(root: Path, model: str, version: int, location: str = "weights.bin") -> Path:
    """An MLP whose weights are in `location`, relative to the version's folder and written there."""
    proto = mlp()
    blob = bytearray()
    for tensor in proto.graph.initializer:
        raw = numpy_helper.to_array(tensor).tobytes()
        point_to(tensor, location, len(blob), len(raw))
        blob += raw
    path = save(root, model, version, proto)
    target = path.parent / location
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(blob)
    return path


def point_to(tensor: onnx.TensorProto, location: str, offset: int, length: int) -> None:
    """Have a tensor keep its values in another file."""
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", str(offset)), ("length", str(length))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value


def node(operator: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: object) -> onnx.NodeProto:
    """One operator of ONNX's own."""
    made = helper.make_node(operator, inputs, outputs)
    made.attribute.extend(helper.make_attribute(name, given) for name, given in attributes.items())
    return made


def ml_node(operator: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: object) -> onnx.NodeProto:
    """One operator of classical machine learning."""
    made = node(operator, inputs, outputs, **attributes)
    made.domain = _ML_DOMAIN
    return made


def value(name: str, kind: int, shape: Sequence[int | str | None] | None) -> onnx.ValueInfoProto:
    """An input or output; None is a shape that is not declared."""
    return helper.make_tensor_value_info(name, kind, shape)


def graph_of(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    constants: Mapping[str, Any] | None = None,
) -> onnx.ModelProto:
    """A model that old and new releases of onnxruntime read."""
    stored = [numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or {}).items()]
    graph = helper.make_graph(nodes, "zoo", inputs, outputs, stored)
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_ML_DOMAIN, 2)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="zoo")
