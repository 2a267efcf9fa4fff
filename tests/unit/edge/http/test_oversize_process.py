"""Frames of the decoding process: what comes back equals what the codec returns here."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence

import orjson
import pytest

from serving.edge.http import binary_body, codec, instances
from serving.edge.http.limits import HttpLimits
from serving.edge.http.oversize_decoder import Document, OversizeDecoder
from serving.edge.http.oversize_frames import (
    LENGTHS,
    InferForm,
    NamedForm,
    decoded_infer,
    decoded_instances,
    request_frame,
)
from serving.edge.http.oversize_process import serve
from serving.errors import BadRequest, ServingError
from serving.features.entity_rows import EntityRows
from serving.inference import Buffer, Request, Signature, Tensor, TensorSpec
from serving.testing.predictions import FakePredictions
from tests.unit.edge.http.binary import body_of, request, tensor
from tests.unit.edge.http.wire import Wire, infer, post

SIGNATURE = Signature((TensorSpec("a", "FP32", (-1, 2)), TensorSpec("b", "BYTES", (-1,))), ())

LIMITS = HttpLimits()
INFER = InferForm(LIMITS, binary=False)


def through(*frames: list[Buffer]) -> list[tuple[bytes, bytes]]:
    """Replies to requests, as the process writes them."""
    sink = io.BytesIO()
    serve(io.BytesIO(b"".join(b"".join(frame) for frame in frames)), sink)
    replies = []
    sink.seek(0)
    while lengths := sink.read(LENGTHS.size):
        head, blob = LENGTHS.unpack(lengths)
        replies.append((sink.read(head), sink.read(blob)))
    return replies


def same(left: list[Tensor], right: list[Tensor]) -> bool:
    return [(t.name, t.datatype, t.shape, bytes(t.data)) for t in left] == [
        (t.name, t.datatype, t.shape, bytes(t.data)) for t in right
    ]


def test_an_infer_request_comes_back_as_the_codec_decodes_it() -> None:
    tensors = [
        {"name": "a", "shape": [2], "datatype": "FP32", "data": [1, 2]},
        {"name": "b", "shape": [1], "datatype": "BYTES", "data": ["x"]},
    ]
    body = orjson.dumps({"inputs": tensors, "id": "ü", "outputs": [{"name": "o"}]})
    ((head, blob),) = through(request_frame(INFER, body))
    back = binary_body.cut(decoded_infer(head, blob), body, len(body), LIMITS)
    here = codec.decode(body)
    assert same(back.inputs, here.inputs)
    assert back.options == here.options


def test_the_json_part_of_a_body_with_tensors_comes_back_as_it_is_read_here() -> None:
    document = orjson.dumps(
        {
            "inputs": [
                {"name": "a", "shape": [2], "datatype": "FP32", "data": [1, 2]},
                {"name": "b", "shape": [1], "datatype": "FP32", "parameters": {"binary_data_size": 4}},
            ],
            "parameters": {"binary_data_output": True},
        }
    )
    ((head, blob),) = through(request_frame(InferForm(LIMITS, binary=True), document))
    body = document + b"\0\0\x80?"
    back = binary_body.cut(decoded_infer(head, blob), body, len(document), LIMITS)
    here = binary_body.BinaryBodies(LIMITS).decode(body, len(document))
    assert same(back.inputs, here.inputs)
    assert back.options == here.options
    assert here.options.binary is True


def test_instances_come_back_as_the_codec_decodes_them() -> None:
    body = orjson.dumps({"instances": [{"a": [1, 2], "b": "x"}, {"a": [3, 4], "b": "y"}]})
    ((head, blob),) = through(request_frame(NamedForm(SIGNATURE, LIMITS), body))
    tensors, count = decoded_instances(head, blob)
    here, here_count = instances.decode(body, SIGNATURE)
    assert same(tensors, here)
    assert count == here_count == 2


def test_a_refusal_comes_back_as_one_and_the_process_goes_on() -> None:
    good = orjson.dumps({"instances": [{"a": [1, 2], "b": "x"}]})
    (refused, accepted) = through(request_frame(INFER, b"{"), request_frame(NamedForm(SIGNATURE, LIMITS), good))
    with pytest.raises(BadRequest, match="not JSON"):
        decoded_infer(*refused)
    assert decoded_instances(*accepted)[1] == 1


class Recorder(OversizeDecoder):
    """Remembers what it was given."""

    def __init__(self) -> None:
        super().__init__(LIMITS)
        self.documents: list[Document] = []

    def decode(self, document: Document) -> None:
        self.documents.append(document)


@pytest.mark.parametrize(
    ("values", "elsewhere"), [(32_760, False), (32_780, True)], ids=["as many as are quick", "a few more"]
)
def test_json_of_many_short_values_is_decoded_elsewhere_although_it_is_small(values: int, elsewhere: bool) -> None:
    wire = Wire()
    wire.edge.oversize = recorder = Recorder()
    entry = {"name": "input", "shape": [1, values], "datatype": "FP32", "data": [10] * values}
    wire.send(post(orjson.dumps({"inputs": [entry]})))
    assert bool(recorder.documents) is elsewhere
    assert len(wire.answers) == (not elsewhere)


@pytest.mark.parametrize(("values", "elsewhere"), [(32_700, False), (32_780, True)])
def test_the_json_part_of_a_body_with_tensors_is_no_different(values: int, *, elsewhere: bool) -> None:
    wire = Wire()
    wire.edge.oversize = recorder = Recorder()
    given = {"name": "other", "shape": [1, values], "datatype": "FP32", "data": [10] * values}
    body, size = body_of([tensor("input", "FP32", [1, 2], 8), given], bytes(8))
    wire.send(request(body, size))
    assert bool(recorder.documents) is elsewhere
    assert len(wire.answers) == (not elsewhere)


def test_only_the_json_part_of_a_large_document_is_decoded_elsewhere() -> None:
    wire = Wire(limits=HttpLimits(inline_json_mb=0.0001))
    wire.edge.oversize = recorder = Recorder()
    body, size = body_of([tensor("input", "FP32", [1, 2], 8)], bytes(8), id="x" * 200)
    wire.send(request(body, size))
    (document,) = recorder.documents
    assert (document.json_size, document.form) == (size, None)


class InProcess(OversizeDecoder):
    """Decodes here what the process would."""

    def __init__(self, *, broken: bool = False) -> None:
        super().__init__(LIMITS)
        self.broken = broken

    async def _ask(self, document: Document) -> tuple[bytes, bytes]:
        await asyncio.sleep(0)
        if self.broken:
            raise ValueError("no lengths")
        ((head, blob),) = through(request_frame(INFER, document.body))
        return head, blob


class Caller:
    """Whose request it is; fails on what it is told as it is asked to."""

    gone = False

    def __init__(self, *fails_on: str) -> None:
        self.fails_on = fails_on
        self.heard: list[str] = []

    def accept(
        self, tensors: Sequence[Tensor], asked: codec.Asked | int, received_at: float, rows: EntityRows | None = None
    ) -> None:
        del tensors, asked, received_at, rows
        self._hear("accept")

    def refuse_error(self, error: ServingError) -> None:
        self._hear(error.reason)

    def _hear(self, what: str) -> None:
        self.heard.append(what)
        if what in self.fails_on:
            raise ZeroDivisionError


async def _heard(decoder: OversizeDecoder, *callers: Caller) -> list[list[str]]:
    body = orjson.dumps({"inputs": [{"name": "a", "shape": [2], "datatype": "FP32", "data": [1, 2]}]})
    for caller in callers:
        decoder.decode(Document(caller, None, body, 0.0))
    for _ in range(20):
        await asyncio.sleep(0)
    return [caller.heard for caller in callers]


@pytest.mark.parametrize("fails_on", [("accept",), ("accept", "model_failed")])
async def test_one_that_cannot_be_handed_on_costs_itself_and_nobody_behind_it(fails_on: tuple[str, ...]) -> None:
    decoder = InProcess()
    assert await _heard(decoder, Caller(*fails_on), Caller()) == [["accept", "model_failed"], ["accept"]]
    assert await _heard(decoder, Caller()) == [["accept"]]
    await decoder.stop()


async def test_a_process_that_answers_nonsense_costs_what_it_was_asked() -> None:
    decoder = InProcess(broken=True)
    assert await _heard(decoder, Caller()) == [["model_failed"]]
    decoder.broken = False
    assert await _heard(decoder, Caller()) == [["accept"]]
    await decoder.stop()


class FailsLate(FakePredictions):
    """Accepts, and fails then."""

    def accept(self, request: Request) -> None:
        super().accept(request)
        raise ZeroDivisionError


async def test_a_prediction_that_fails_late_is_answered_once_and_leaves_the_request_path() -> None:
    wire = Wire(limits=HttpLimits(inline_json_mb=0.0001), predictions=FailsLate())
    wire.edge.oversize = InProcess()
    for hold, status in ((False, 200), (True, 500)):
        wire.predictions.hold = hold
        wire.send(infer(",".join(["1"] * 40_000)))
        for _ in range(20):
            await asyncio.sleep(0)
        assert wire.answers[-1].status == status
        assert not wire.predictions.accepted[-1].waiting
    assert len(wire.answers) == 2
    assert wire.edge.budget.used == 0
    await wire.edge.oversize.stop()
