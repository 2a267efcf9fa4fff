"""ModelInferRequest to tensors."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.edge.grpc.codec import Asked, Codec, head_end
from serving.edge.grpc.limits import GrpcLimits
from serving.errors import BadRequest, ServingError, TooLarge
from serving.inference import Tensor
from serving.protocol.open_inference import InferParameter, ModelInferRequest
from tests.unit.edge.grpc.messages import decoded, floats, request, typed, with_parameters

CODEC = Codec(GrpcLimits())


def decode(asked: ModelInferRequest, codec: Codec = CODEC) -> tuple[Asked, list[Tensor]]:
    came = decoded(codec, asked.SerializeToString())
    assert not came.unchecked
    return came.asked, came.tensors


def refusal(asked: ModelInferRequest, codec: Codec = CODEC) -> str:
    with pytest.raises(BadRequest) as refused:
        decode(asked, codec)
    return refused.value.message


def test_raw_contents_are_the_tensors_bytes() -> None:
    asked, (tensor,) = decode(request(model_version="2", id="a"))
    assert (asked.model, asked.version, asked.id, asked.outputs) == ("mlp", 2, "a", None)
    assert tensor == Tensor("input", "FP32", (1, 4), floats(1, 2, 3, 6))


def test_a_second_request_with_other_contents_has_its_own() -> None:
    for value in (1.0, 2.0, 3.0):
        asked = request()
        asked.raw_input_contents[0] = floats(value, 0, 0, 0)
        assert decode(asked)[1][0].data == floats(value, 0, 0, 0)


def test_large_contents_are_not_copied() -> None:
    asked = ModelInferRequest(model_name="mlp", raw_input_contents=[bytes(40_000)])
    asked.inputs.add(name="input", datatype="FP32", shape=[10, 1000])
    (tensor,) = decode(asked)[1]
    assert isinstance(tensor.data, memoryview)
    assert tensor.data == bytes(40_000)


def test_a_large_message_that_is_a_view_is_decoded_as_bytes_are() -> None:
    asked = ModelInferRequest(model_name="mlp", raw_input_contents=[bytes(40_000), floats(1)])
    asked.inputs.add(name="input", datatype="FP32", shape=[10, 1000])
    asked.inputs.add(name="other", datatype="FP32", shape=[1])
    message, typed_one = asked.SerializeToString(), typed("INT8", [1], int_contents=[3]).SerializeToString()
    for data in (message, message, typed_one, b"\x98\x06\x01" + message):
        view = memoryview(data)
        assert decoded(Codec(GrpcLimits()), view) == decoded(CODEC, view) == decoded(CODEC, data)
    assert decoded(CODEC, memoryview(message)).tensors[0].data.obj is message  # type: ignore[union-attr]


def test_fields_in_another_order_are_the_same_request() -> None:
    first = ModelInferRequest(raw_input_contents=[floats(1, 2, 3, 6)]).SerializeToString()
    rest = ModelInferRequest(model_name="mlp")
    rest.inputs.add(name="input", datatype="FP32", shape=[1, 4])
    unknown = b"\x98\x06\x01"
    message = first + unknown + rest.SerializeToString()
    assert head_end(message, 99) == 0
    assert head_end(unknown + message, 99) is None
    assert decoded(CODEC, message)[:2] == decode(request())


@pytest.mark.parametrize(
    ("datatype", "field", "values", "packed"),
    [
        ("BOOL", "bool_contents", [True, False], b"\1\0"),
        ("INT8", "int_contents", [-128, 127], b"\x80\x7f"),
        ("INT16", "int_contents", [-2, 1], struct.pack("<2h", -2, 1)),
        ("INT32", "int_contents", [-(2**31), 5], struct.pack("<2i", -(2**31), 5)),
        ("INT64", "int64_contents", [-(2**63), 5], struct.pack("<2q", -(2**63), 5)),
        ("UINT8", "uint_contents", [0, 255], b"\0\xff"),
        ("UINT16", "uint_contents", [0, 65535], b"\0\0\xff\xff"),
        ("UINT32", "uint_contents", [0, 2**32 - 1], struct.pack("<2I", 0, 2**32 - 1)),
        ("UINT64", "uint64_contents", [0, 2**64 - 1], struct.pack("<2Q", 0, 2**64 - 1)),
        ("FP32", "fp32_contents", [1.5, float("-inf")], struct.pack("<2f", 1.5, float("-inf"))),
        ("FP64", "fp64_contents", [1.5, 1e300], struct.pack("<2d", 1.5, 1e300)),
        ("BYTES", "bytes_contents", [b"a\0b", b""], b"\3\0\0\0a\0b\0\0\0\0"),
    ],
)
def test_typed_contents_become_the_same_bytes_as_raw_ones(
    datatype: str, field: str, values: list[Any], packed: bytes
) -> None:
    by_type = decode(typed(datatype, [2], **{field: values}))
    raw = ModelInferRequest(model_name="mlp", raw_input_contents=[packed])
    raw.inputs.add(name="input", datatype=datatype, shape=[2])
    assert by_type[1] == decode(raw)[1]
    assert by_type[1][0].data == packed


def test_an_empty_tensor_needs_no_contents() -> None:
    asked = ModelInferRequest(model_name="mlp")
    asked.inputs.add(name="input", datatype="FP32", shape=[0, 4])
    assert decode(asked)[1] == [Tensor("input", "FP32", (0, 4), b"")]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (typed("INT8", [1], int_contents=[128]), "input 'input': value 0 must be an integer from -128 to 127"),
        (typed("INT8", [2], int_contents=[1, 300]), "input 'input': value 1 must be an integer from -128 to 127"),
        (typed("UINT8", [1], uint_contents=[256]), "must be an integer from 0 to 255"),
        (typed("UINT16", [2], uint_contents=[1, 2**31]), "value 1 must be an integer from 0 to 65535"),
        (typed("FP32", [1], fp64_contents=[1.0]), "FP32 belongs into fp32_contents, got fp64_contents"),
        (typed("INT64", [1], int_contents=[1], int64_contents=[1]), "belongs into int64_contents, got int_contents"),
        (typed("FP32", [3], fp32_contents=[1.0]), "its shape needs 3 values, but fp32_contents has 1"),
        (typed("FP16", [1], fp32_contents=[1.0]), "FP16 has no typed contents; send it in raw_input_contents"),
        (typed("BF16", [1]), "BF16 has no typed contents"),
        (typed("BYTES", [1], bytes_contents=[b"\xff"]), "element 0 is not UTF-8"),
        (typed("FP99", [1]), "unknown datatype 'FP99'; known are BOOL"),
        (typed("FP32", [-1], fp32_contents=[1.0]), "shape holds integers from 0 to 2147483647, got -1"),
        (typed("FP32", [2**31 - 1] * 3), "elements; a tensor may have 67108864 (http.max_elements)"),
        (typed("FP32", [1] * 33, fp32_contents=[1.0]), "a shape has at most 32 dimensions (http.max_rank), got 33"),
        (request(model_name=""), "model_name is missing"),
        (request(model_version="latest"), "a version is a whole number of 1 or more, or left out, got 'latest'"),
        (request(model_version="0"), "a version is a whole number of 1 or more"),
        (request(id="x" * 4097), "id may have at most 4096 characters, got 4097"),
        (ModelInferRequest(model_name="mlp"), "inputs is empty"),
    ],
)
def test_what_is_wrong_is_named(asked: ModelInferRequest, said: str) -> None:
    assert said in refusal(asked)


def test_raw_and_typed_contents_do_not_mix() -> None:
    asked = request()
    asked.inputs[0].contents.fp32_contents.extend([1, 2, 3, 6])
    assert "input 'input' has contents, and raw_input_contents are given" in refusal(asked)


def test_each_input_needs_its_raw_entry() -> None:
    asked = request()
    asked.inputs.add(name="other", datatype="FP32", shape=[1])
    assert refusal(asked) == "raw_input_contents has 1 entries for 2 inputs; each input needs one"
    del asked.raw_input_contents[:]
    assert "input 'input' has neither contents nor an entry in raw_input_contents" in refusal(asked)


@pytest.mark.parametrize("size", [0, 15, 17])
def test_raw_contents_fill_the_shape_exactly(size: int) -> None:
    asked = request()
    asked.raw_input_contents[0] = bytes(size)
    assert refusal(asked) == f"input 'input': 4 values of FP32 are 16 bytes, but it has {size}"


def test_an_input_or_an_output_is_named_once() -> None:
    asked = request()
    asked.inputs.add(name="input", datatype="FP32", shape=[1])
    assert refusal(asked) == "input 'input' is given twice"
    twice = request()
    twice.outputs.add(name="mean")
    twice.outputs.add(name="mean")
    assert refusal(twice) == "outputs names an output twice"


def test_outputs_are_asked_for_in_their_order() -> None:
    asked = request()
    for name in ("b", "a"):
        asked.outputs.add(name=name)
    assert decode(asked)[0].outputs == ("b", "a")


def _number(field: str, value: int) -> InferParameter:
    return InferParameter(int64_param=value) if field == "int64_param" else InferParameter(uint64_param=value)


@pytest.mark.parametrize("field", ["int64_param", "uint64_param"])
def test_the_schedule_policy_is_taken_as_either_kind_of_number(field: str) -> None:
    asked = with_parameters(request(), priority=_number(field, 3), timeout=_number(field, 1_500_000))
    assert (decode(asked)[0].priority, decode(asked)[0].timeout_s) == (3, 1.5)


@pytest.mark.parametrize(
    ("name", "parameter", "said"),
    [
        ("priority", InferParameter(string_param="high"), "'priority' must be a whole number of 0 or more"),
        ("timeout", InferParameter(int64_param=-1), "'timeout' must be a whole number of 0 or more (in microseconds)"),
        ("timeout", InferParameter(bool_param=True), "'timeout' must be a whole number"),
        ("sequence_id", InferParameter(int64_param=1), "'sequence_id' is not served"),
        ("triton_anything", InferParameter(bool_param=True), "begin with triton_ are reserved"),
    ],
)
def test_parameters_that_ask_for_what_is_not_served_are_refused(
    name: str, parameter: InferParameter, said: str
) -> None:
    assert said in refusal(with_parameters(request(), **{name: parameter}))


def test_parameters_that_mean_nothing_here_are_left_alone() -> None:
    asked = with_parameters(
        request(),
        binary_data_output=InferParameter(bool_param=True),
        mine=InferParameter(string_param="x"),
        triton_enable_empty_final_response=InferParameter(bool_param=True),
    )
    assert decode(asked)[1] == decode(request())[1]


def test_shared_memory_and_classification_are_refused_with_a_hint() -> None:
    asked = request()
    asked.inputs[0].parameters["shared_memory_region"].string_param = "r"
    assert refusal(asked) == "input 'input': shared memory is not served; send the bytes in raw_input_contents"
    classified = request()
    classified.outputs.add(name="mean").parameters["classification"].int64_param = 1
    assert "classification is not served; take the values and sort them" in refusal(classified)


@pytest.mark.parametrize(("count", "taken"), [(7, True), (8, True), (9, False)])
def test_so_many_numbers_are_taken_as_typed_contents_and_no_more(count: int, taken: bool) -> None:
    codec = Codec(GrpcLimits(max_typed_elements=8))
    asked = typed("INT32", [count], int_contents=range(count))
    if taken:
        assert len(decode(asked, codec)[1][0].data) == 4 * count
    else:
        with pytest.raises(TooLarge, match="send them in raw_input_contents"):
            decode(asked, codec)
    # Floats are in the message as they are in a tensor.
    assert len(decode(typed("FP32", [count], fp32_contents=range(count)), codec)[1][0].data) == 4 * count


@pytest.mark.parametrize(("count", "taken"), [(2, True), (3, True), (4, False)])
def test_so_many_tensors_are_taken_and_no_more(count: int, taken: bool) -> None:
    codec = Codec(GrpcLimits(max_tensors=3))
    asked = ModelInferRequest(model_name="mlp", raw_input_contents=[b"\0"] * count)
    for index in range(count):
        asked.inputs.add(name=str(index), datatype="INT8", shape=[1])
    if taken:
        assert len(decode(asked, codec)[1]) == count
    else:
        assert refusal(asked, codec) == f"the request has {count} inputs; at most 3 are taken (http.max_tensors)"


def test_unknown_fields_behind_typed_contents_are_no_values() -> None:
    asked = typed("FP32", [1], fp32_contents=[1.0])
    contents = asked.inputs[0].contents.SerializeToString() + b"\xc2\x3e\x08extended"
    asked.inputs[0].contents.ParseFromString(contents)
    assert decode(asked)[1][0].data == floats(1.0)


def outcome(message: bytes) -> list[Tensor] | str:
    try:
        return decoded(CODEC, message).tensors
    except ServingError as error:
        return error.message


@given(st.binary(max_size=300))
def test_any_bytes_are_a_request_or_a_refusal(message: bytes) -> None:
    assert outcome(message)


@given(st.data())
def test_a_request_with_some_bytes_changed_is_a_request_or_a_refusal(data: st.DataObject) -> None:
    message = bytearray(request(id="abc", model_version="1").SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    assert outcome(bytes(message))
    assert outcome(bytes(message[: data.draw(st.integers(0, len(message)))]))
