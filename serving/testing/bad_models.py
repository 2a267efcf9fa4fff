"""Models that cannot be served: each is written into a repository, and should be refused with what to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from serving.testing.models import FLOAT, INT64, graph_of, ml_node, mlp, node, point_to, save, slow, value

Write = Callable[[Path, str], Path]


def truncated(root: Path, model: str) -> Path:
    """The second half of the file is missing."""
    path = save(root, model, 1, mlp())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def not_onnx(root: Path, model: str) -> Path:
    """A page of text in place of the model."""
    return _raw(root, model, b"<!DOCTYPE html><html><body>404 Not Found</body></html>")


def empty(root: Path, model: str) -> Path:
    """A file without a byte."""
    return _raw(root, model, b"")


def lfs_pointer(root: Path, model: str) -> Path:
    """What Git leaves where its large file was not fetched."""
    return _raw(root, model, b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n")


def missing_weights(root: Path, model: str) -> Path:
    """The file beside the model was not copied."""
    return _weights_in(root, model, "weights.bin")


def escaping_weights(root: Path, model: str) -> Path:
    """Weights are said to be above the version's folder, where there is such a file."""
    path = _weights_in(root, model, "../../outside.bin")
    (path.parent / "../../outside.bin").write_bytes(b"\0" * 65_536)
    return path


def absolute_weights(root: Path, model: str) -> Path:
    """Weights are said to be at a place of the whole machine."""
    outside = root / "outside.bin"
    path = _weights_in(root, model, str(outside.resolve()))
    outside.write_bytes(b"\0" * 65_536)
    return path


def linked_weights(root: Path, model: str) -> Path:
    """The file beside the model is a link that leads out of the version's folder."""
    path = _weights_in(root, model, "weights.bin")
    outside = root / "outside.bin"
    outside.write_bytes(b"\0" * 65_536)
    (path.parent / "weights.bin").symlink_to(outside)
    return path


def short_weights(root: Path, model: str) -> Path:
    """The file beside the model is only half there."""
    path = _weights_in(root, model, "weights.bin")
    (path.parent / "weights.bin").write_bytes(b"\0" * 100)
    return path


def unknown_opset(root: Path, model: str) -> Path:
    """Made for operators of the future."""
    proto = mlp()
    proto.opset_import[0].version = 99
    return save(root, model, 1, proto)


def unknown_format(root: Path, model: str) -> Path:
    """Written in a format of the future."""
    proto = mlp()
    proto.ir_version = 99
    return save(root, model, 1, proto)


def unknown_operator(root: Path, model: str) -> Path:
    """An operator that no opset has."""
    return save(root, model, 1, _through("Frobnicate", FLOAT))


def custom_operator(root: Path, model: str) -> Path:
    """An operator of somebody's own, whose library is not named."""
    proto = _through("Frobnicate", FLOAT)
    proto.graph.node[0].domain = "com.acme"
    proto.opset_import.append(helper.make_opsetid("com.acme", 1))
    return save(root, model, 1, proto)


def sequence_output(root: Path, model: str) -> Path:
    """A sequence of tensors comes out."""
    out = helper.make_tensor_sequence_value_info("y", FLOAT, None)
    return save(
        root, model, 1, graph_of([node("SequenceConstruct", ["x", "x"], ["y"])], [value("x", FLOAT, ["n", 2])], [out])
    )


def map_output(root: Path, model: str) -> Path:
    """A dictionary for each row comes out, as scikit-learn's converter does unless told otherwise."""
    row = helper.make_map_type_proto(INT64, helper.make_tensor_type_proto(FLOAT, []))
    out = helper.make_value_info("y", helper.make_sequence_type_proto(row))
    zip_map = ml_node("ZipMap", ["x"], ["y"], classlabels_int64s=[0, 1])
    return save(root, model, 1, graph_of([zip_map], [value("x", FLOAT, ["n", 2])], [out]))


def optional_input(root: Path, model: str) -> Path:
    """An input that may be nothing."""
    kind = helper.make_optional_type_proto(helper.make_tensor_type_proto(FLOAT, ["n", 2]))
    given = helper.make_value_info("x", kind)
    return save(
        root, model, 1, graph_of([node("OptionalGetElement", ["x"], ["y"])], [given], [value("y", FLOAT, ["n", 2])])
    )


def float8(root: Path, model: str) -> Path:
    """A type that the protocol does not know."""
    cast = node("Cast", ["x"], ["y"], to=TensorProto.FLOAT8E4M3FN)
    proto = graph_of([cast], [value("x", FLOAT, ["n", 2])], [value("y", TensorProto.FLOAT8E4M3FN, ["n", 2])])
    # The first opset and the first format that know it.
    proto.opset_import[0].version, proto.ir_version = 19, 9
    return save(root, model, 1, proto)


def unranked_input(root: Path, model: str) -> Path:
    """An input that may have any number of dimensions."""
    return save(
        root, model, 1, graph_of([node("Abs", ["x"], ["y"])], [value("x", FLOAT, None)], [value("y", FLOAT, None)])
    )


def no_inputs(root: Path, model: str) -> Path:
    """It always answers the same."""
    stored = {"w": np.ones(2, np.float32)}
    return save(root, model, 1, graph_of([node("Abs", ["w"], ["y"])], [], [value("y", FLOAT, [2])], stored))


def crashes_when_loaded(root: Path, model: str) -> Path:
    """Its constants are folded into a division that x86 processors refuse with SIGFPE."""
    stored = {"least": np.array([-(2**63)]), "minus_one": np.array([-1])}
    nodes = [node("Div", ["least", "minus_one"], ["quotient"]), node("Add", ["x", "quotient"], ["y"])]
    return save(root, model, 1, graph_of(nodes, [value("x", INT64, ["n"])], [value("y", INT64, ["n"])], stored))


def never_ready(root: Path, model: str) -> Path:
    """Its first run takes hours."""
    return save(root, model, 1, slow(rounds=1_000_000_000))


# Those that are refused where they stand; `crashes_when_loaded` and `never_ready` need a process of their own.
BAD: Mapping[str, Write] = {
    "truncated": truncated,
    "not-onnx": not_onnx,
    "empty": empty,
    "lfs-pointer": lfs_pointer,
    "missing-weights": missing_weights,
    "escaping-weights": escaping_weights,
    "absolute-weights": absolute_weights,
    "linked-weights": linked_weights,
    "short-weights": short_weights,
    "unknown-opset": unknown_opset,
    "unknown-format": unknown_format,
    "unknown-operator": unknown_operator,
    "custom-operator": custom_operator,
    "sequence-output": sequence_output,
    "map-output": map_output,
    "optional-input": optional_input,
    "float8": float8,
    "unranked-input": unranked_input,
    "no-inputs": no_inputs,
}


def _raw(root: Path, model: str, content: bytes) -> Path:
    path = root / model / "1" / "model.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _weights_in(root: Path, model: str, location: str) -> Path:
    proto = mlp()
    tensor = proto.graph.initializer[0]
    point_to(tensor, location, 0, numpy_helper.to_array(mlp().graph.initializer[0]).nbytes)
    return save(root, model, 1, proto)


def _through(operator: str, kind: int) -> onnx.ModelProto:
    return graph_of([node(operator, ["x"], ["y"])], [value("x", kind, ["n", 2])], [value("y", kind, ["n", 2])])
