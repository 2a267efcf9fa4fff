"""A batch's outputs as JSON, rendered once: what is common to its answers, and the text of each row."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import orjson

from serving.edge.http.answers import before_queue, predicted
from serving.edge.http.rows import Rows, flat_rows, nested_rows
from serving.errors import BadRequest, ModelFailed
from serving.inference import Answer, Outputs, Tensor, VersionKey


class _Frame(NamedTuple):
    """Text of an answer with one row of each output, around the times, the length, the id and the rows.

    `size` counts the body's bytes without id and rows.
    """

    before_queue: bytes
    after_run: bytes
    size: int


class InferRows:
    """The rows of a batch in the shape of the Open Inference Protocol: flat data, shape and datatype beside it.

    Most requests are one row and want all outputs. Their whole response is one formatting of `template` (0.4 us), with
    the `texts` and the `sizes` of their row; None where a value of the batch is not expressible.
    """

    __slots__ = ("columns", "sizes", "template", "texts")

    def __init__(self, answer: Answer) -> None:
        tensors = answer.outputs.tensors
        self.columns = [flat_rows(tensor) for tensor in tensors]
        self.template = None
        for column in self.columns:
            if column.bad:
                return
        frame = _frame(answer.key, answer.variant, tuple([(t.name, t.datatype, t.shape[1:]) for t in tensors]))
        self.template = b"%b%%.3f, run;dur=%.3f%b" % (frame.before_queue, answer.run_s * 1000, frame.after_run)
        self.texts = list(zip(*[column.texts for column in self.columns], strict=True))
        self.sizes = [frame.size + sum(map(len, texts)) for texts in self.texts]


class PredictRows:
    """The rows of a batch as V1 predictions: a value, or an object by output names where there are several."""

    __slots__ = ("bad", "texts")

    def __init__(self, outputs: Outputs) -> None:
        columns = [nested_rows(tensor) for tensor in outputs.tensors]
        self.bad = [column.bad for column in columns]
        if len(columns) == 1:
            self.texts = columns[0].texts
            return
        names = [orjson.dumps(tensor.name) + b":" for tensor in outputs.tensors]
        rows = zip(*(column.texts for column in columns), strict=True)
        self.texts = [b"{" + b",".join(map(bytes.__add__, names, row)) + b"}" for row in rows]


def infer_response(answer: Answer, id_json: bytes, wanted: tuple[str, ...] | None) -> bytes:
    """The whole response to an infer request: its rows of the `wanted` outputs, or of all.

    Raises:
        BadRequest: an output was asked for that the model does not have.
        ModelFailed: an output holds what JSON cannot express.
    """
    if answer.whole:
        return predicted(answer, _infer_whole(answer, id_json, wanted))
    rows = answer.outputs.rendered.get("infer")
    if not isinstance(rows, InferRows):
        rows = answer.outputs.rendered["infer"] = InferRows(answer)
    start = answer.start
    if rows.template is not None and wanted is None and answer.stop - start == 1:
        return rows.template % (answer.queue_s * 1000, rows.sizes[start] + len(id_json), id_json, *rows.texts[start])
    return predicted(answer, _infer_pieces(answer, rows, id_json, wanted))


def predict_response(answer: Answer, instances: int, headers: bytes = b"") -> bytes:
    """The whole response to a V1 request, one prediction for each of `instances`; `headers` are whole lines.

    Raises:
        ModelFailed: an output holds what JSON cannot express, or does not have a row for each instance.
    """
    return predicted(answer, _predict_pieces(answer, instances), headers)


def _infer_pieces(answer: Answer, rows: InferRows, id_json: bytes, wanted: tuple[str, ...] | None) -> tuple[bytes, ...]:
    pieces = [_start(answer.key), id_json]
    positions = _positions(answer.outputs.tensors, wanted)
    lead = b',"outputs":['
    for position in positions:
        tensor, column = answer.outputs.tensors[position], rows.columns[position]
        _refuse_bad(tensor, column, answer)
        shape = (answer.stop - answer.start, *tensor.shape[1:])
        pieces += (lead, _opening(tensor.name, tensor.datatype, shape))
        pieces.append(b",".join(column.texts[answer.start : answer.stop]))
        lead = b"]},"
    pieces.append(b"]}]}")
    return tuple(pieces)


def _predict_pieces(answer: Answer, instances: int) -> tuple[bytes, ...]:
    tensors = answer.outputs.tensors
    rank_0 = [tensor.name for tensor in tensors if not tensor.shape]
    if answer.whole and rank_0:
        return _predict_scalars(tensors, instances)
    if answer.whole:
        _refuse_uneven(tensors, instances)
    rows = answer.outputs.rendered.get("predict")
    if not isinstance(rows, PredictRows):
        rows = answer.outputs.rendered["predict"] = PredictRows(answer.outputs)
    start, stop = (0, instances) if answer.whole else (answer.start, answer.stop)
    for tensor, bad in zip(tensors, rows.bad, strict=True):
        if bad and not bad.isdisjoint(range(start, stop)):
            raise _inexpressible(tensor)
    return b'{"predictions":[', b",".join(rows.texts[start:stop]), b"]}"


def _infer_whole(answer: Answer, id_json: bytes, wanted: tuple[str, ...] | None) -> tuple[bytes, ...]:
    pieces = [_start(answer.key), id_json]
    lead = b',"outputs":['
    for position in _positions(answer.outputs.tensors, wanted):
        tensor = answer.outputs.tensors[position]
        column = flat_rows(Tensor(tensor.name, tensor.datatype, (1, *tensor.shape), tensor.data))
        if column.bad:
            raise _inexpressible(tensor)
        pieces += (lead, _opening(tensor.name, tensor.datatype, tensor.shape), column.texts[0])
        lead = b"]},"
    pieces.append(b"]}]}")
    return tuple(pieces)


def _positions(tensors: tuple[Tensor, ...], wanted: tuple[str, ...] | None) -> list[int]:
    if wanted is None:
        return list(range(len(tensors)))
    known = {tensor.name: position for position, tensor in enumerate(tensors)}
    for name in wanted:
        if name not in known:
            raise BadRequest(f"unknown output {name!r}; the model has {', '.join(known)}")
    return [known[name] for name in wanted]


def _refuse_bad(tensor: Tensor, column: Rows, answer: Answer) -> None:
    if column.bad and not column.bad.isdisjoint(range(answer.start, answer.stop)):
        raise _inexpressible(tensor)


def _inexpressible(tensor: Tensor) -> ModelFailed:
    if tensor.datatype == "BYTES":
        return ModelFailed(f"output {tensor.name!r} holds bytes that are no UTF-8; JSON cannot express them")
    return ModelFailed(
        f"output {tensor.name!r} holds NaN or infinity, and JSON has neither; leave it out with `outputs`"
    )


def _predict_scalars(tensors: tuple[Tensor, ...], instances: int) -> tuple[bytes, ...]:
    if instances != 1:
        raise ModelFailed(f"the model answers without rows, so it takes one instance at a time, not {instances}")
    lifted = tuple(Tensor(t.name, t.datatype, (1, *t.shape), t.data) for t in tensors)
    rows = PredictRows(Outputs(lifted))
    for tensor, bad in zip(tensors, rows.bad, strict=True):
        if bad:
            raise _inexpressible(tensor)
    return b'{"predictions":[', rows.texts[0], b"]}"


def _refuse_uneven(tensors: tuple[Tensor, ...], instances: int) -> None:
    for tensor in tensors:
        if tensor.shape[0] != instances:
            raise ModelFailed(
                f"output {tensor.name!r} has {tensor.shape[0]} rows for {instances} instances; "
                "use POST /v2/models/{model}/infer for a model whose outputs are not rows"
            )


# Bounded: a version's outputs have few shapes, and what was forgotten is put together again in 5 us.
@lru_cache(maxsize=1024)
def _frame(key: VersionKey, variant: str, outputs: tuple[tuple[str, str, tuple[int, ...]], ...]) -> _Frame:
    body = [_start(key), b"%b"]
    lead = b',"outputs":['
    for name, datatype, trailing in outputs:
        body += (lead, _opening(name, datatype, (1, *trailing)), b"%b")
        lead = b"]},"
    body.append(b"]}]}")
    size = sum(len(piece) for piece in body if piece != b"%b")
    # Everything goes through formatting once more, so a percent sign in a name is doubled.
    text = b"".join(piece if piece == b"%b" else piece.replace(b"%", b"%%") for piece in body)
    return _Frame(before_queue(key, variant).replace(b"%", b"%%"), b"\r\ncontent-length: %d\r\n\r\n" + text, size)


def _start(key: VersionKey) -> bytes:
    return b'{"model_name":%b,"model_version":"%d","id":' % (orjson.dumps(key.model), key.version)


def _opening(name: str, datatype: str, shape: tuple[int, ...]) -> bytes:
    dimensions = ",".join(map(str, shape)).encode()
    return b'{"name":%b,"shape":[%b],"datatype":"%b","data":[' % (orjson.dumps(name), dimensions, datatype.encode())
