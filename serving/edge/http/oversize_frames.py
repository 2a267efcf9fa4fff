"""What a worker and the process that decodes its large JSON documents say to each other, on both sides.

A request is two lengths (uint32, little-endian), what the document is read by, and the document. A reply is two
lengths, a head (`error`, or `inputs` with their sizes and what the encoder needs) and the tensors; or for entities
their keys and packed request features.
"""

from __future__ import annotations

import marshal
import pickle
from collections.abc import Iterator, Sequence
from functools import lru_cache
from struct import Struct
from typing import Any, NamedTuple

from serving.edge.http import binary_body, instances
from serving.edge.http.binary_body import Layout, Part
from serving.edge.http.limits import HttpLimits
from serving.edge.http.request_options import Options
from serving.errors import BadRequest
from serving.features.compilation import compile_plan
from serving.features.entity_rows import Again, EntityRows
from serving.features.explanation import Wants
from serving.features.plan import ReadPlan
from serving.inference import Buffer, Signature, Tensor

LENGTHS = Struct("<II")


class NamedForm(NamedTuple):
    """V1 instances by the names of a signature's inputs, within `limits`."""

    signature: Signature
    limits: HttpLimits


class InferForm(NamedTuple):
    """An infer document, within `limits`; `binary` where tensors follow it in its body."""

    limits: HttpLimits
    binary: bool


class Told(NamedTuple):
    """What an infer document says, apart from its values: `sizes` are of those that stood in it."""

    parts: tuple[Part, ...]
    sizes: tuple[int, ...]
    options: Options


def request_frame(form: ReadPlan | NamedForm | InferForm, document: Buffer) -> list[Buffer]:
    """The pieces of a request; of a body with binary tensors the document is the JSON part alone."""
    # Pickled, as both ends are this program; a plan goes as what it is compiled from.
    head = pickle.dumps(form.recipe if isinstance(form, ReadPlan) else form)
    return [LENGTHS.pack(len(head), len(document)), head, document]


def decoded_infer(head: bytes, blob: bytes) -> Layout:
    """A reply as `binary_body.read` would have returned it.

    Raises:
        BadRequest: what the codec refused.
    """
    told = _reply(head)
    assert isinstance(told, Told)  # noqa: S101 - what our own child answers to such a form
    values = _cut(blob, told.sizes)
    parts = [part if part.data is None else part._replace(data=next(values)) for part in told.parts]
    return Layout(tuple(parts), told.options)


def decoded_instances(head: bytes, blob: bytes) -> tuple[list[Tensor], int]:
    """A reply as `instances.decode` would have returned it.

    Raises:
        BadRequest: what the codec refused.
    """
    facts, count = _reply(head)
    values = _cut(blob, [size for _, _, _, size in facts])
    return [Tensor(name, datatype, shape, next(values)) for name, datatype, shape, _ in facts], count


def _cut(blob: bytes, sizes: Sequence[int]) -> Iterator[memoryview]:
    view = memoryview(blob)
    start = 0
    for size in sizes:
        yield view[start : start + size]
        start += size


def _reply(head: bytes) -> Any:  # noqa: ANN401 - whatever the form's reply is
    reply: object = pickle.loads(head)  # noqa: S301 - written by our own child
    if isinstance(reply, str):
        raise BadRequest(reply)
    return reply


def decoded_entities(plan: ReadPlan, head: bytes, blob: bytes, again: Again) -> EntityRows:
    """A reply as the plan would have read the document, which `again` has read by another one.

    Raises:
        BadRequest: what the plan refused.
    """
    count = _reply(head)
    keys, sent, key, wants, request_id = marshal.loads(blob)  # noqa: S302 - written by our own child
    rows = EntityRows(plan, count, keys, sent, key, again, None if wants is None else Wants(*wants))
    rows.request_id = request_id
    return rows


def reply_frame(head: bytes, body: bytes) -> list[Buffer]:
    """Decode one document and say what came of it, in the pieces of a reply."""
    reply: object
    try:
        blobs, reply = _decode(head, body)
    except BadRequest as error:
        blobs, reply = [], error.message
    answer = pickle.dumps(reply)
    return [LENGTHS.pack(len(answer), sum(map(len, blobs))), answer, *blobs]


def _decode(head: bytes, body: bytes) -> tuple[list[Buffer], object]:
    form = _form(head)
    if isinstance(form, InferForm):
        layout = binary_body.read(body, form.limits) if form.binary else binary_body.all_given(body, form.limits)
        return _told(layout)
    if isinstance(form, ReadPlan):
        rows = instances.entities(body, form)
        wants = None if rows.wants is None else tuple(rows.wants)
        return [marshal.dumps((rows.keys, rows.sent, rows.key, wants, rows.request_id))], rows.count
    tensors, count = instances.decode(body, form.signature, form.limits)
    return [t.data for t in tensors], ([(t.name, t.datatype, t.shape, len(t.data)) for t in tensors], count)


def _told(layout: Layout) -> tuple[list[Buffer], Told]:
    blobs = [part.data for part in layout.parts if part.data is not None]
    parts = tuple([part if part.data is None else part._replace(data=b"") for part in layout.parts])
    return blobs, Told(parts, tuple(map(len, blobs)), layout.options)


@lru_cache(maxsize=16)
def _form(head: bytes) -> ReadPlan | NamedForm | InferForm:
    given: object = pickle.loads(head)  # noqa: S301 - written by our own parent
    if isinstance(given, InferForm | NamedForm):
        return given
    assert isinstance(given, tuple)  # noqa: S101 - what a plan is compiled from
    return compile_plan(*given)
