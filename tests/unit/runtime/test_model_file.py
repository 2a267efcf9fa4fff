"""A file is looked into without being loaded, and no bytes at all can surprise."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.errors import ModelUnservable
from serving.runtime.model_file import ExternalData, ModelFile
from serving.testing import models

SMALL = models.doubler().SerializeToString()


def test_external_data_is_found_with_place_and_size(tmp_path: Path) -> None:
    found = ModelFile.read(models.save_with_weights_beside(tmp_path, "m", 1, "sub/w.bin"))
    assert found.external[0] == ExternalData("w1", "sub/w.bin", 0, 8192)
    assert [(item.tensor, item.offset) for item in found.external[1:]] == [("b1", 8192), ("w2", 8448), ("b2", 8960)]


def test_external_data_is_found_inside_subgraphs_attributes_and_functions(tmp_path: Path) -> None:
    inner = models.mlp().graph.initializer[0]
    models.point_to(inner, "inner.bin", 0, 1)
    body = onnx.helper.make_graph([], "body", [], [], [inner])
    constant = models.node("Constant", [], ["c"], value=inner)
    proto = models.graph_of(
        [models.node("If", ["x"], ["y"], then_branch=body, else_branch=body), constant],
        [models.value("x", models.FLOAT, [1])],
        [models.value("y", models.FLOAT, [1])],
    )
    proto.functions.append(onnx.helper.make_function("zoo", "f", [], ["c"], [constant], []))
    found = ModelFile.read(models.save(tmp_path, "m", 1, proto))
    assert [item.location for item in found.external] == ["inner.bin"] * 4


def test_inputs_without_a_declared_shape_are_told_from_single_values(tmp_path: Path) -> None:
    kinds = {"none": None, "single": [], "open": [None], "fixed": [3]}
    inputs = [models.value(name, models.FLOAT, shape) for name, shape in kinds.items()]
    proto = models.graph_of([models.node("Identity", ["none"], ["y"])], inputs, [models.value("y", models.FLOAT, None)])
    assert ModelFile.read(models.save(tmp_path, "m", 1, proto)).unranked_inputs == {"none"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    read_or_refused(tmp_path, content)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(st.integers(0, len(SMALL) - 1), st.integers(0, 255))
def test_a_model_with_any_byte_changed_is_read_or_refused(tmp_path: Path, place: int, byte: int) -> None:
    read_or_refused(tmp_path, SMALL[:place] + bytes([byte]) + SMALL[place + 1 :])


@pytest.mark.parametrize("depth", [10, 2000])
def test_nesting_costs_no_stack(depth: int, tmp_path: Path) -> None:
    # A graph (7), whose node (1) has an attribute (5), which is a graph (6), and so on.
    message = b""
    for _ in range(depth):
        for number in (6, 5, 1):
            message = bytes([number << 3 | 2]) + _varint(len(message)) + message
    read_or_refused(tmp_path, bytes([7 << 3 | 2]) + _varint(len(message)) + message)


def read_or_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    try:
        ModelFile.read(path).check_external_data()
    except ModelUnservable as error:
        assert error.message.startswith(str(path))  # noqa: PT017 - it may also pass


def _varint(number: int) -> bytes:
    parts = []
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])
