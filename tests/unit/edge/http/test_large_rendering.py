"""Large answers are the same as small ones, piece by piece."""

from __future__ import annotations

import struct
from math import prod
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.edge.http import large_rendering
from serving.edge.http.answers import Split
from serving.edge.http.large_rendering import Steps, infer_steps, large, predict_steps
from serving.edge.http.rendering import infer_response, predict_response
from serving.edge.http.request_options import Options
from serving.errors import BadRequest
from serving.inference import Answer, Outputs, Tensor, VersionKey


def answer(*tensors: Tensor, start: int = 0, stop: int = 1, whole: bool = False) -> Answer:
    return Answer(Outputs(tensors), start, stop, whole, VersionKey("m", 2), "stable", 0.0, 0.0)


def text_of(response: bytes | Split | Steps[bytes | Split]) -> bytes:
    """The bytes of a response, however it comes."""
    if not isinstance(response, bytes | Split):
        response = run(response)
    return response if isinstance(response, bytes) else b"".join((response.head, *response.tail))


def run(steps: Steps[bytes | Split]) -> bytes | Split:
    while True:
        try:
            next(steps)
        except StopIteration as ended:
            value: bytes | Split = ended.value
            return value


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_rendering, "_STEP", 7)
    monkeypatch.setattr(large_rendering, "_STEP_STRINGS", 3)


def strings(count: int) -> bytes:
    return b"".join(struct.pack("<I", len(t)) + t for t in (("ü" * (i % 4)).encode() for i in range(count)))


SHAPES = st.tuples(st.integers(1, 4), st.lists(st.integers(0, 5), max_size=3)).map(lambda pair: (pair[0], *pair[1]))


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    rows, *trailing = draw(SHAPES)
    shapes = [(rows, *trailing), (rows, *draw(st.lists(st.integers(1, 9), max_size=2)))]
    tensors = []
    for position, shape in enumerate(shapes):
        if draw(st.booleans()):
            tensors.append(Tensor(f"o{position}%", "BYTES", shape, strings(prod(shape))))
        else:
            values = struct.pack(f"<{prod(shape)}f", *[i / 4 for i in range(prod(shape))])
            tensors.append(Tensor(f"o{position}%", "FP32", shape, values))
    start = draw(st.integers(0, rows - 1))
    stop = draw(st.integers(start + 1, rows))
    return answer(*tensors[: draw(st.integers(1, 2))], start=start, stop=stop)


@given(answers(), st.sampled_from([False, True]))
def test_steps_give_what_is_given_at_once(answered: Answer, binary: bool) -> None:
    assert not large(answered.outputs)
    for options in (Options(binary=binary), Options(b'"7"', (answered.outputs.tensors[0].name,), binary)):
        assert text_of(infer_steps(answered, options)) == text_of(infer_response(answered, options))
    count = answered.stop - answered.start
    head = b"x: y\r\n"
    assert text_of(predict_steps(answered, count, head)) == text_of(predict_response(answered, count, head))


def floats(name: str, *shape: int, value: float = 0.5) -> Tensor:
    return Tensor(name, "FP32", shape, struct.pack("<f", value) * prod(shape))


def test_a_large_answer_is_given_in_steps_and_a_small_one_at_once() -> None:
    big, little = answer(floats("p", 1, 20_000)), answer(floats("p", 1, 2))
    assert isinstance(infer_response(little, Options()), bytes)
    assert isinstance(predict_response(little, 1), bytes)
    for response in (infer_response(big, Options()), predict_response(big, 1)):
        assert not isinstance(response, bytes | Split)
        document: Any = orjson.loads(text_of(response).partition(b"\r\n\r\n")[2])
        values = document["predictions"][0] if "predictions" in document else document["outputs"][0]["data"]
        assert values == [0.5] * 20_000


def test_a_whole_large_answer_keeps_its_shape() -> None:
    response = infer_response(answer(floats("p", 3, 200, 50), whole=True), Options())
    (output,) = orjson.loads(text_of(response).partition(b"\r\n\r\n")[2])["outputs"]
    assert (output["shape"], len(output["data"])) == ([3, 200, 50], 30_000)
    nested = predict_response(answer(floats("p", 3, 200, 50), whole=True), 3)
    (first, *_) = orjson.loads(text_of(nested).partition(b"\r\n\r\n")[2])["predictions"]
    assert (len(first), len(first[0])) == (200, 50)


def test_large_outputs_in_binary_need_no_steps() -> None:
    response = infer_response(answer(floats("p", 1, 20_000)), Options(binary=True))
    assert isinstance(response, Split)
    assert bytes(response.tail[0]) == struct.pack("<f", 0.5) * 20_000


def test_what_json_cannot_express_ends_the_steps() -> None:
    bad = floats("p", 1, 20_000, value=float("nan"))
    for response in (infer_response(answer(bad), Options()), predict_response(answer(bad), 1)):
        with pytest.raises(BadRequest, match="binary_data_output"):
            text_of(response)
    half = Tensor("h", "FP16", (1, 40_000), bytes(80_000))
    with pytest.raises(BadRequest, match="FP16"):
        text_of(infer_response(answer(half), Options()))
    text = Tensor("t", "BYTES", (1, 3000), (struct.pack("<I", 1) + b"\xff") * 3000)
    with pytest.raises(BadRequest, match="UTF-8"):
        text_of(infer_response(answer(text), Options()))
