"""The process that decodes large JSON documents: frames on standard input, what they say on standard output.

It imports the codec, the reader of entities and nothing heavier, and ends when its input does, so it never outlives the
worker. A request is two lengths (uint32, little-endian), what the document is read by, and the document. A reply is two
lengths, a JSON head (`error`, or `inputs` with their sizes and what the encoder needs) and the tensors; or for entities
their keys and packed request features.
"""

from __future__ import annotations

import marshal
import pickle
import sys
from collections.abc import Iterator, Sequence
from functools import lru_cache
from struct import Struct
from typing import BinaryIO, overload

import orjson

from serving.edge.http import codec, instances
from serving.errors import BadRequest
from serving.features.compilation import compile_plan
from serving.features.entity_rows import EntityRows
from serving.features.plan import ReadPlan
from serving.inference import Signature, Tensor

LENGTHS = Struct("<II")


def request_frame(form: ReadPlan | Signature | None, body: bytes) -> list[bytes]:
    """The pieces of a request; `form` for V1 instances, None for an infer request."""
    # Pickled, as both ends are this program; a plan goes as what it is compiled from.
    head = pickle.dumps(form.recipe if isinstance(form, ReadPlan) else form)
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


def decoded_entities(plan: ReadPlan, body: bytes, head: bytes, blob: bytes) -> EntityRows:
    """A reply as the plan would have read the document.

    Raises:
        BadRequest: what the plan refused.
    """
    reply = orjson.loads(head)
    if "error" in reply:
        raise BadRequest(reply["error"])
    keys, sent, key = marshal.loads(blob)  # noqa: S302 - written by our own child
    return EntityRows(plan, _Instances(body, reply["count"]), keys, sent, key)


class _Instances(Sequence[object]):
    """The instances of a large document, parsed again only if somebody must look at one."""

    def __init__(self, body: bytes, count: int) -> None:
        self._body = body
        self._count = count
        self._rows: list[object] = []

    @overload
    def __getitem__(self, index: int) -> object: ...
    @overload
    def __getitem__(self, index: slice) -> list[object]: ...
    def __getitem__(self, index: int | slice) -> object:
        self._rows = self._rows or instances.listed(self._body)
        return self._rows[index]

    def __iter__(self) -> Iterator[object]:
        return iter(self[:])

    def __len__(self) -> int:
        return self._count


def reply_frame(head: bytes, body: bytes) -> list[bytes]:
    """Decode one document and say what came of it, in the pieces of a reply."""
    try:
        blobs, reply = _decode(head, body)
    except BadRequest as error:
        blobs, reply = [], {"error": error.message}
    answer = orjson.dumps(reply)
    return [LENGTHS.pack(len(answer), sum(map(len, blobs))), answer, *blobs]


def _decode(head: bytes, body: bytes) -> tuple[list[bytes], dict[str, object]]:
    form = _form(head)
    if form is None:
        asked = codec.decode(body)
        return _blobs(asked.inputs), {
            **_inputs(asked.inputs),
            "id": asked.id_json.decode(),
            "outputs": asked.outputs,
        }
    if isinstance(form, ReadPlan):
        rows = form.read(instances.listed(body))
        return [marshal.dumps((rows.keys, rows.sent, rows.key))], {"count": rows.count}
    tensors, count = instances.decode(body, form)
    return _blobs(tensors), {**_inputs(tensors), "count": count}


@lru_cache(maxsize=16)
def _form(head: bytes) -> ReadPlan | Signature | None:
    given: object = pickle.loads(head)  # noqa: S301 - written by our own parent
    if isinstance(given, tuple):
        return compile_plan(*given)
    return given if isinstance(given, Signature) else None


def _blobs(tensors: Sequence[Tensor]) -> list[bytes]:
    return [bytes(tensor.data) for tensor in tensors]


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
