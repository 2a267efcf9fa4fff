"""Infer answers of which some or all outputs follow the JSON as bytes (binary tensor extension)."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import NamedTuple

from serving.edge.http.answers import BYTES, Split, before_queue, predicted_in_binary
from serving.edge.http.large_rendering import Steps, infer_steps, large
from serving.edge.http.output_texts import facts, in_json, positions_of, shape_of, start_of
from serving.edge.http.request_options import Options
from serving.inference import ELEMENT_SIZE, Answer, Buffer, Tensor, VersionKey, bytes_offsets

# A row of more bytes than this is not worth a template, which copies it.
_TEMPLATE_BYTES = 4096


class _Frame(NamedTuple):
    """A response of one row, but for its times, its sizes, its id and the elements.

    `json_size` counts the JSON without the id, `size` the elements too.
    """

    before_queue: bytes
    after_run: bytes
    json_size: int
    size: int


class BinaryRows:
    """Rows of a batch whose outputs are all asked for in binary, each a slice of its output.

    A caller's whole response is one formatting of `template`; None where rows have no size of their own.
    """

    __slots__ = ("columns", "json_size", "size", "template")

    def __init__(self, answer: Answer, wanted: tuple[str, ...] | None) -> None:
        tensors = answer.outputs.tensors
        chosen = [tensors[position] for position in positions_of(tensors, wanted)]
        self.columns = [(t.data, ELEMENT_SIZE[t.datatype] * prod(t.shape[1:])) for t in chosen]
        self.template = None
        if any(not ELEMENT_SIZE[t.datatype] for t in chosen) or sum(size for _, size in self.columns) > _TEMPLATE_BYTES:
            return
        frame = _frame(answer.key, answer.variant, tuple([(t.name, t.datatype, t.shape[1:]) for t in chosen]))
        self.template = b"%b%%.3f, run;dur=%.3f%b" % (frame.before_queue, answer.run_s * 1000, frame.after_run)
        self.json_size = frame.json_size
        self.size = frame.size


def binary_response(answer: Answer, options: Options) -> bytes | Split | Steps[bytes | Split]:
    """The whole response to an infer request that asks for outputs in binary, or the steps to it where it is large.

    Raises:
        BadRequest, ModelFailed: as in `rendering.infer_response`.
    """
    id_json = options.id_json
    if options.binary is True and not answer.whole and answer.stop - answer.start == 1:
        rows = _rows(answer, options.outputs)
        if rows.template is not None:
            start, more = answer.start, len(id_json)
            values = [data[start * size : (start + 1) * size] for data, size in rows.columns]
            return rows.template % (answer.queue_s * 1000, rows.json_size + more, rows.size + more, id_json, *values)
    if large(answer.outputs) and not _all_slices(answer, options):
        return infer_steps(answer, options)
    return predicted_in_binary(answer, *_pieces(answer, options))


def _all_slices(answer: Answer, options: Options) -> bool:
    """Nothing is rendered, and no string is looked for."""
    sized = answer.whole or all(ELEMENT_SIZE[tensor.datatype] for tensor in answer.outputs.tensors)
    return options.binary is True and sized


def _rows(answer: Answer, wanted: tuple[str, ...] | None) -> BinaryRows:
    rendered = answer.outputs.rendered
    rows = rendered.get(wanted)
    if not isinstance(rows, BinaryRows):
        rows = rendered[wanted] = BinaryRows(answer, wanted)
    return rows


def _pieces(answer: Answer, options: Options) -> tuple[tuple[bytes, ...], tuple[Buffer, ...]]:
    """The JSON of the response in pieces, and what follows it."""
    tensors = answer.outputs.tensors
    positions = positions_of(tensors, options.outputs)
    flags = (options.binary,) * len(positions) if isinstance(options.binary, bool) else options.binary
    json, behind = [start_of(answer.key), options.id_json], []
    lead = b',"outputs":['
    for position, binary in zip(positions, flags, strict=True):
        json.append(lead)
        if binary:
            tensor = tensors[position]
            elements = tensor.data if answer.whole else _own(answer, position)
            behind.append(elements)
            json.append(facts(tensor.name, tensor.datatype, shape_of(answer, tensor)))
            json.append(b'"parameters":{"binary_data_size":%d}' % len(elements))
            lead = b"},"
        else:
            json += in_json(answer, position)
            lead = b"]},"
    json.append(lead[:-1] + b"]}")
    return tuple(json), tuple(behind)


def _own(answer: Answer, position: int) -> Buffer:
    """The caller's rows of an output."""
    tensor = answer.outputs.tensors[position]
    if ELEMENT_SIZE[tensor.datatype] or answer.stop - answer.start == tensor.shape[0]:
        return tensor.rows(answer.start, answer.stop)
    offsets = _offsets(answer, position, tensor)
    width = prod(tensor.shape[1:])
    return memoryview(tensor.data)[offsets[answer.start * width] : offsets[answer.stop * width]]


def _offsets(answer: Answer, position: int, tensor: Tensor) -> list[int]:
    """Where each BYTES element of a batch's output begins, walked once for all its callers."""
    rendered = answer.outputs.rendered
    key = ("offsets", position)
    offsets = rendered.get(key)
    if not isinstance(offsets, list):
        offsets = rendered[key] = bytes_offsets(tensor.data, prod(tensor.shape))
    return offsets


# Bounded: see rendering.py.
@lru_cache(maxsize=1024)
def _frame(key: VersionKey, variant: str, outputs: tuple[tuple[str, str, tuple[int, ...]], ...]) -> _Frame:
    json = [start_of(key), b"%b"]
    total = 0
    lead = b',"outputs":['
    for name, datatype, trailing in outputs:
        size = ELEMENT_SIZE[datatype] * prod(trailing)
        json += (lead, facts(name, datatype, (1, *trailing)), b'"parameters":{"binary_data_size":%d}' % size)
        total += size
        lead = b"},"
    json.append(b"}]}")
    json_size = sum(len(piece) for piece in json if piece != b"%b")
    # Everything goes through formatting once more, so a percent sign in a name is doubled.
    text = b"".join(piece if piece == b"%b" else piece.replace(b"%", b"%%") for piece in json)
    return _Frame(
        before_queue(key, variant, BYTES).replace(b"%", b"%%"),
        b"\r\ninference-header-content-length: %d\r\ncontent-length: %d\r\n\r\n" + text + b"%b" * len(outputs),
        json_size,
        json_size + total,
    )
