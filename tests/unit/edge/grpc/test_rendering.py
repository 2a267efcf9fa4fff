"""Answers as the messages that protobuf would have written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.edge.grpc.outgoing import Frame
from serving.edge.grpc.rendering import infer_frame, varint
from serving.errors import BadRequest
from serving.inference import Answer, Outputs, Tensor, VersionKey
from serving.protocol.open_inference import ModelInferResponse

KEY = VersionKey("mlp", 3)


def answer(*tensors: Tensor, start: int = 0, stop: int = 1, whole: bool = False) -> Answer:
    return Answer(Outputs(tensors), start, stop, whole, KEY, "stable", 0.0, 0.0)


def read(frame: Frame) -> ModelInferResponse:
    assert isinstance(frame, bytes)
    assert frame[0] == 0
    assert int.from_bytes(frame[1:5], "big") == len(frame) - 5
    return ModelInferResponse.FromString(frame[5:])


def expected(identity: str, outputs: list[tuple[Tensor, bytes]]) -> ModelInferResponse:
    response = ModelInferResponse(model_name="mlp", model_version="3", id=identity)
    for tensor, raw in outputs:
        response.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        response.raw_output_contents.append(raw)
    return response


@given(st.integers(1, 5), st.integers(0, 3), st.sampled_from(["", "abc"]))
def test_each_caller_gets_its_own_rows(rows: int, width: int, identity: str) -> None:
    data = bytes(range(rows * width * 4))
    batch = answer(Tensor("y", "FP32", (rows, width), data)).outputs
    for row in range(rows):
        one = Answer(batch, row, row + 1, False, KEY, "stable", 0.0, 0.0)
        own = data[row * width * 4 : (row + 1) * width * 4]
        assert read(infer_frame(one, identity, None)) == expected(
            identity, [(Tensor("y", "FP32", (1, width), b""), own)]
        )


def test_a_large_answer_is_not_joined() -> None:
    data = bytes((4 << 20) + 1)
    frame = infer_frame(answer(Tensor("y", "UINT8", (1, len(data)), data)), "a", None)
    assert not isinstance(frame, bytes)
    assert any(piece is data for piece in frame)
    assert read(b"".join(frame)).raw_output_contents == [data]


def test_several_outputs_and_rows_of_strings() -> None:
    strings = b"\1\0\0\0a\2\0\0\0bc"
    tensors = (Tensor("s", "BYTES", (2, 1), strings), Tensor("n", "INT64", (2,), bytes(range(16))))
    second = answer(*tensors, start=1, stop=2)
    assert read(infer_frame(second, "", None)) == expected(
        "",
        [(Tensor("s", "BYTES", (1, 1), b""), strings[5:]), (Tensor("n", "INT64", (1,), b""), bytes(range(8, 16)))],
    )


def test_outputs_come_in_the_order_asked_for_and_no_others() -> None:
    tensors = tuple(Tensor(name, "INT8", (1,), name.encode()) for name in "abc")
    asked = read(infer_frame(answer(*tensors), "", ("c", "a")))
    assert [output.name for output in asked.outputs] == ["c", "a"]
    assert list(asked.raw_output_contents) == [b"c", b"a"]
    with pytest.raises(BadRequest, match="unknown output 'd'; the model has a, b, c"):
        infer_frame(answer(*tensors), "", ("d",))


def test_an_answer_without_rows_goes_whole() -> None:
    tensors = (Tensor("x", "FP64", (), bytes(8)), Tensor("empty", "FP32", (0, 3), b""))
    whole = read(infer_frame(answer(*tensors, whole=True), "", None))
    assert [list(output.shape) for output in whole.outputs] == [[], [0, 3]]
    assert list(whole.raw_output_contents) == [bytes(8), b""]


@pytest.mark.parametrize(("number", "written"), [(0, b"\0"), (127, b"\x7f"), (128, b"\x80\1"), (300, b"\xac\2")])
def test_numbers_are_written_seven_bits_a_byte(number: int, written: bytes) -> None:
    assert varint(number) == written
