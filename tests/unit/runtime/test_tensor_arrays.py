"""Bytes become arrays and arrays become bytes, with nothing changed on the way."""

from __future__ import annotations

import struct
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import ModelFailed
from serving.inference import ELEMENT_SIZE, Stacked, Tensor, TensorSpec
from serving.runtime.onnx_session import OnnxSession
from serving.runtime.tensor_arrays import DTYPES, as_array, as_arrays, as_tensors, joined_strings
from serving.testing import models


def packed(elements: list[bytes]) -> bytes:
    """BYTES as the protocol writes them, spelled out here once more."""
    return b"".join(struct.pack("<I", len(element)) + element for element in elements)


def test_every_datatype_has_a_dtype_of_its_element_size() -> None:
    assert set(ELEMENT_SIZE) <= set(DTYPES)
    for datatype, dtype in DTYPES.items():
        assert datatype == "BYTES" or dtype.itemsize == ELEMENT_SIZE[datatype]


@pytest.mark.parametrize("datatype", [name for name in DTYPES if name != "BYTES"])
def test_numbers_come_back_as_the_same_bytes(datatype: str) -> None:
    raw = bytes(range(1, 1 + 6 * ELEMENT_SIZE[datatype])) if datatype != "BOOL" else bytes([0, 1, 1, 0, 0, 1])
    array = as_array(Tensor("x", datatype, (2, 3), raw))
    assert array.shape == (2, 3)
    (tensor,) = as_tensors([array], [TensorSpec("y", datatype, (-1, 3))])
    assert (tensor.name, tensor.datatype, tensor.shape, tensor.data) == ("y", datatype, (2, 3), raw)


def test_one_part_is_used_where_it_lies_and_several_are_joined() -> None:
    part = bytearray(np.arange(3, dtype=np.float32).tobytes())
    (alone,) = as_arrays([Stacked("x", "FP32", (1, 3), [part])])
    part[:4] = np.float32(7).tobytes()
    assert alone.tolist() == [[7, 1, 2]]
    (both,) = as_arrays([Stacked("x", "FP32", (2, 3), [part, memoryview(bytes(12))])])
    assert both.tolist() == [[7, 1, 2], [0, 0, 0]]


def test_data_that_begins_at_an_odd_byte_is_copied_to_an_even_one() -> None:
    raw = b"\0" + np.arange(4, dtype=np.float64).tobytes()
    array = as_array(Tensor("x", "FP64", (4,), memoryview(raw)[1:]))
    assert array.flags.aligned
    assert array.tolist() == [0, 1, 2, 3]


def test_a_single_value_has_no_dimension() -> None:
    array = as_array(Tensor("x", "FP32", (), np.float32(5).tobytes()))
    assert array.shape == ()
    (tensor,) = as_tensors([array], [TensorSpec("y", "FP32", ())])
    assert (tensor.shape, tensor.data) == ((), np.float32(5).tobytes())


def test_no_rows_are_no_bytes() -> None:
    array = as_array(Tensor("x", "FP32", (0, 3), b""))
    (tensor,) = as_tensors([array], [TensorSpec("y", "FP32", (-1, 3))])
    assert (tensor.shape, tensor.data) == ((0, 3), b"")


def test_a_large_output_is_handed_on_without_a_copy() -> None:
    array = np.zeros((300, 100), np.float32)
    (tensor,) = as_tensors([array], [TensorSpec("y", "FP32", (-1, 100))])
    array[0, 0] = 1
    assert bytes(tensor.data) == array.tobytes()
    assert bytes(tensor.rows(0, 1)) == array[:1].tobytes()


@pytest.mark.parametrize("size", [0, 11, 13, 24])
def test_bytes_that_do_not_fill_the_shape_exactly_are_refused(size: int) -> None:
    with pytest.raises(ModelFailed, match=rf"input 'x': {size} bytes where shape \[1, 3\] of FP32 takes 12"):
        as_array(Tensor("x", "FP32", (1, 3), bytes(size)))


def test_a_datatype_that_no_array_has_is_refused() -> None:
    with pytest.raises(ModelFailed, match="datatype FP8 is not supported; use one of BOOL"):
        as_array(Tensor("x", "FP8", (1,), b"\0"))


@pytest.mark.parametrize("answer", [np.zeros((1, 2)), [{"a": 1.0}], np.array([["a"]])])
def test_an_output_of_another_datatype_than_declared_fails(answer: object) -> None:
    with pytest.raises(ModelFailed, match=r"output 'y' is .* where the model declares FP32"):
        as_tensors([answer], [TensorSpec("y", "FP32", (-1, 2))])  # type: ignore[list-item]


@given(st.lists(st.text(), max_size=8))
def test_text_comes_back_as_it_was_with_nul_and_all(elements: list[str]) -> None:
    raw = packed([element.encode(errors="replace") for element in elements])
    array = as_array(Tensor("x", "BYTES", (len(elements), 1), raw))
    (tensor,) = as_tensors([array], [TensorSpec("y", "BYTES", (-1, 1))])
    assert (tensor.shape, tensor.data) == ((len(elements), 1), raw)


@given(st.lists(st.binary(max_size=12), min_size=1, max_size=6))
def test_bytes_pass_unaltered_through_a_model_or_not_at_all(elements: list[bytes]) -> None:
    with TemporaryDirectory() as folder:
        session = OnnxSession.open(models.save(Path(folder), "echo", 1, models.echo(width=1)))
    tensor = Tensor("x", "BYTES", (len(elements), 1), packed(elements))
    try:
        for element in elements:
            element.decode()
    except UnicodeDecodeError:
        with pytest.raises(ModelFailed, match=r"element \d+ is not UTF-8"):
            as_array(tensor)
        return
    (answer,) = as_tensors(session.run([as_array(tensor)]), session.signature.outputs)
    assert answer.data == tensor.data


@given(st.lists(st.one_of(st.text(alphabet=st.characters(codec="utf-8")), st.binary())))
def test_strings_are_joined_as_the_protocol_says(elements: list[str | bytes]) -> None:
    assert joined_strings(elements) == packed(
        [element.encode() if isinstance(element, str) else element for element in elements]
    )


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", "end at element 0 of 2"),
        (b"\1\0\0\0a", "end at element 1 of 2"),
        (b"\1\0\0\0a\5\0\0\0b", "end within element 1 of 2"),
        (packed([b"a", b"b"]) + b"x", "1 bytes are left after 2 elements"),
        (b"\xff\xff\xff\xff", "end within element 0 of 2"),
    ],
)
def test_strings_that_do_not_fill_the_shape_are_refused(raw: bytes, expected: str) -> None:
    with pytest.raises(ModelFailed, match=expected):
        as_array(Tensor("x", "BYTES", (2,), raw))
