"""The process that decodes large JSON documents: frames on standard input, tensors on standard output.

It imports the codec and nothing heavier, and ends when its input does, so it never outlives the worker.
A request is two lengths (uint32, little-endian), the input specs as JSON (null for an infer request) and the document.
A reply is two lengths, a JSON head (`error`, or `inputs` with their sizes and what the encoder needs) and the tensors.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from struct import Struct
from typing import BinaryIO

import orjson

from serving.edge.http import codec, instances
from serving.errors import BadRequest
from serving.inference import Signature, Tensor, TensorSpec

LENGTHS = Struct("<II")


def request_frame(signature: Signature | None, body: bytes) -> list[bytes]:
    """The pieces of a request; `signature` for V1 instances, None for an infer request."""
    specs = None if signature is None else [[spec.name, spec.datatype, spec.shape] for spec in signature.inputs]
    head = orjson.dumps(specs)
    return [LENGTHS.pack(len(head), len(body)), head, body]


def decoded(head: bytes, blob: bytes) -> tuple[list[Tensor], codec.Asked | int]:
    """A reply as the codec would have returned it.

    Raises:
        BadRequest: what the codec refused.
    """
    reply = orjson.loads(head)
    if "error" in reply:
        raise BadRequest(reply["error"])
    tensors = []
    start = 0
    view = memoryview(blob)
    for name, datatype, shape, size in reply["inputs"]:
        tensors.append(Tensor(name, datatype, tuple(shape), view[start : start + size]))
        start += size
    if "count" in reply:
        return tensors, int(reply["count"])
    outputs = reply["outputs"]
    return tensors, codec.Asked(tensors, reply["id"].encode(), None if outputs is None else tuple(outputs))


def reply_frame(head: bytes, body: bytes) -> list[bytes]:
    """Decode one document and say what came of it, in the pieces of a reply."""
    try:
        tensors, reply = _decode(orjson.loads(head), body)
    except BadRequest as error:
        tensors, reply = [], {"error": error.message}
    answer = orjson.dumps(reply)
    blobs = [bytes(tensor.data) for tensor in tensors]
    return [LENGTHS.pack(len(answer), sum(map(len, blobs))), answer, *blobs]


def _decode(specs: list[list[object]] | None, body: bytes) -> tuple[Sequence[Tensor], dict[str, object]]:
    if specs is None:
        asked = codec.decode(body)
        return asked.inputs, {**_inputs(asked.inputs), "id": asked.id_json.decode(), "outputs": asked.outputs}
    inputs = tuple(TensorSpec(str(name), str(datatype), tuple(shape)) for name, datatype, shape in specs)  # type: ignore[arg-type]
    tensors, count = instances.decode(body, Signature(inputs, ()))
    return tensors, {**_inputs(tensors), "count": count}


def _inputs(tensors: Sequence[Tensor]) -> dict[str, object]:
    return {"inputs": [[tensor.name, tensor.datatype, tensor.shape, len(tensor.data)] for tensor in tensors]}


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer every request on `source`, until it ends."""
    while lengths := source.read(LENGTHS.size):
        head_size, body_size = LENGTHS.unpack(lengths)
        head, body = source.read(head_size), source.read(body_size)
        if len(body) < body_size:
            return
        sink.write(b"".join(reply_frame(head, body)))
        sink.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
