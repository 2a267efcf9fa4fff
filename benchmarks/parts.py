"""The components on a request's way, each as an action that can be timed alone, in the order of the way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import orjson

from benchmarks.passage import PASSES, Passage
from benchmarks.workload import Workload
from serving.batching.row_queue import QueueLimits, RowQueue, Span
from serving.deadline import DeadlineWheel
from serving.edge.http import codec, rendering
from serving.errors import ServingError
from serving.inference import Answer, Batch, Outputs, Request, Stacked, Tensor, VersionKey
from serving.observation import BatchSeen
from serving.request_path.intake import Intake
from serving.routing.split import choose_split
from serving.routing.table import Route, Served, Split
from serving.runtime.loaded_model import LoadedModel
from serving.runtime.source import ModelSource
from serving.telemetry.recorder import Recorder
from serving.wire import batch_frame
from serving.wire.frame import HEAD, HEAD_BYTES, Frame

ROWS = 64


@dataclass(frozen=True, slots=True)
class Part:
    """`action` does the work of `per` requests (1, or a batch's), so its time is divided by that."""

    name: str
    note: str
    action: Callable[[], object]
    per: int = 1


def parts(models: Path, workload: Workload, closing: ExitStack) -> Iterator[Part]:
    """Every part, for the benchmark's model in the repository; `closing` ends what they hold open."""
    key = VersionKey(workload.model, workload.version)
    path = models / workload.model / str(workload.version) / "model.onnx"
    model = LoadedModel.open(ModelSource(key, path))
    requests = [_request(workload, row) for row in range(ROWS)]
    yield from _edge(workload, model)
    yield from _routing(model, requests)
    yield from _waiting(requests)
    yield from _running(model, requests)
    yield from _stream(model, requests)
    yield from _counting(key)
    for rows in (1, ROWS):
        passage = Passage(model.hosted, model.run, [workload.body(row) for row in range(rows)])
        closing.callback(passage.close)
        yield Part("the whole way", f"bytes to bytes, no sockets, batches of {rows}", passage.several, rows * PASSES)


def _edge(workload: Workload, model: LoadedModel) -> Iterator[Part]:
    body = workload.body(0)
    yield Part("JSON alone", f"orjson, {len(body)} bytes", partial(orjson.loads, body))
    yield Part("decode", f"OIP JSON body of {len(body)} bytes to tensors", partial(codec.decode, body))
    for rows in (1, ROWS):
        batch = _batch(model, [_request(workload, row) for row in range(rows)])
        tensors = model.run(batch.inputs, batch.rows)
        yield Part("encode", f"whole responses of a batch of {rows}", partial(_encode, tensors, model, rows), rows)


def _routing(model: LoadedModel, requests: list[Request]) -> Iterator[Part]:
    served = (Served(1, "gateway"), Served(2, "gateway"))
    route = Route("mlp", "salt", (Split("stable", 1, 9_000), Split("canary", 2, 1_000)), served)
    yield Part("split", "stable or canary, by key", partial(choose_split, route, b"customer-4711"))
    check = Intake(model.hosted).check
    yield Part("check", "names, datatype and shape against the signature", partial(check, requests[0]))


def _waiting(requests: list[Request]) -> Iterator[Part]:
    for rows in (1, ROWS):
        some = requests[:rows]
        yield Part("queue", f"add and take a batch of {rows}", partial(_queue, RowQueue(QueueLimits()), some), rows)
    wheel = DeadlineWheel(_Timers(), Request.reply)
    yield Part("deadline", "watch and release", partial(_watch, wheel, requests[0]))


def _running(model: LoadedModel, requests: list[Request]) -> Iterator[Part]:
    for rows in (1, ROWS):
        batch = _batch(model, requests[:rows])
        action = partial(model.run, batch.inputs, rows)
        yield Part("run", f"bytes to onnxruntime and back, batch of {rows}", action, rows)


def _stream(model: LoadedModel, requests: list[Request]) -> Iterator[Part]:
    signature = model.hosted.signature
    for rows in (1, ROWS):
        batch = _batch(model, requests[:rows])
        tensors = model.run(batch.inputs, rows)
        asked = _frame(batch_frame.encode_run(batch, 1, 7, 1.0)[0])
        told = _frame(batch_frame.encode_result(7, tensors)[0])
        run = batch_frame.decode_run(asked)
        of = f"batch of {rows}"
        yield Part("stream: encode run", of, partial(batch_frame.encode_run, batch, 1, 7, 1.0), rows)
        yield Part("stream: decode run", of, partial(batch_frame.decode_inputs, asked, run, signature), rows)
        yield Part("stream: encode result", of, partial(batch_frame.encode_result, 7, tensors), rows)
        yield Part("stream: decode result", of, partial(batch_frame.decode_result, told, rows, signature), rows)


def _counting(key: VersionKey) -> Iterator[Part]:
    recorder = Recorder()
    for rows in (1, ROWS):
        each = [2e-5 + row * 1e-6 for row in range(rows)]
        seen = BatchSeen(key, "stable", rows, each, each, 1e-4, 1e-5, each)
        yield Part("count", f"metrics of a batch of {rows}", partial(recorder.batch_seen, seen), rows)


class _Nobody:
    def answered(self, request: Request, outcome: Answer | ServingError) -> None:
        """Drop it."""


class _Timers:
    def time(self) -> float:
        return time.monotonic()

    def call_at(self, when: float, callback: Callable[[], None]) -> _Timers:
        """Never: the requests of a measurement are released at once."""
        del when, callback
        return self

    def cancel(self) -> None:
        """It never would have."""


def _request(workload: Workload, row: int) -> Request:
    now = time.monotonic()
    request = Request(workload.model, codec.decode(workload.body(row)).inputs, _Nobody(), now)
    request.deadline_s = now + 1e6
    request.size = len(request.inputs[0].data)
    return request


def _batch(model: LoadedModel, requests: list[Request]) -> Batch:
    first = requests[0].inputs[0]
    shape = (len(requests), *first.shape[1:])
    rows = Stacked(first.name, first.datatype, shape, [request.inputs[0].data for request in requests])
    return Batch(model.hosted.key, (rows,), len(requests), 1e9)


def _encode(tensors: tuple[Tensor, ...], model: LoadedModel, rows: int) -> None:
    outputs, key = Outputs(tensors), model.hosted.key
    for row in range(rows):
        answer = Answer(outputs, row, row + 1, whole=False, key=key, variant="stable", queue_s=0.0, run_s=0.0)
        rendering.infer_response(answer, codec.NO_OPTIONS)


def _queue(queue: RowQueue, requests: list[Request]) -> list[Span]:
    for request in requests:
        if queue.refusal(request.rows, request.size) is None:
            queue.add(request)
    return queue.take(0.0)


def _watch(wheel: DeadlineWheel, request: Request) -> None:
    wheel.watch(request)
    wheel.released(request)


def _frame(pieces: list[bytes | bytearray | memoryview]) -> Frame:
    data = b"".join(pieces)
    _, kind, _, slot, batch_id = HEAD.unpack_from(data)
    return Frame(kind, slot, batch_id, data, HEAD_BYTES, len(data))
