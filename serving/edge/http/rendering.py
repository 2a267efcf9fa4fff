"""Answers to their callers: a batch is rendered once, what is common to its answers and the text of each row."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import orjson

from serving.edge.http.answers import Split, before_queue, predicted
from serving.edge.http.binary_rendering import binary_response
from serving.edge.http.large_rendering import Steps, infer_steps, large, predict_steps
from serving.edge.http.output_texts import NO_JSON, in_json, inexpressible, opening, positions_of, start_of
from serving.edge.http.request_options import Options
from serving.edge.http.rows import flat_rows, nested_rows
from serving.errors import ModelFailed
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
    the `texts` and the `sizes` of their row; None where a value of the batch has no form in JSON.
    """

    __slots__ = ("sizes", "template", "texts")

    def __init__(self, answer: Answer) -> None:
        tensors = answer.outputs.tensors
        self.template = None
        columns = []
        for tensor in tensors:
            if tensor.datatype in NO_JSON:
                return
            column = flat_rows(tensor)
            if column.bad:
                return
            columns.append(column)
        frame = _frame(answer.key, answer.variant, tuple([(t.name, t.datatype, t.shape[1:]) for t in tensors]))
        self.template = b"%b%%.3f, run;dur=%.3f%b" % (frame.before_queue, answer.run_s * 1000, frame.after_run)
        self.texts = list(zip(*[column.texts for column in columns], strict=True))
        self.sizes = [frame.size + sum(map(len, texts)) for texts in self.texts]


class PredictRows:
    """The rows of a batch as V1 predictions: a value, or an object by output names where there are several.

    A response of one row is one formatting of `template`, as with `InferRows`: queue time, header lines, length, text.
    """

    __slots__ = ("bad", "template", "texts")

    def __init__(self, answer: Answer) -> None:
        outputs = answer.outputs
        columns = [nested_rows(tensor) for tensor in outputs.tensors]
        self.bad = [column.bad for column in columns]
        self.template = None if any(self.bad) else _predict_template(answer)
        if len(columns) == 1:
            self.texts = columns[0].texts
            return
        names = [orjson.dumps(tensor.name) + b":" for tensor in outputs.tensors]
        rows = zip(*(column.texts for column in columns), strict=True)
        self.texts = [b"{" + b",".join(map(bytes.__add__, names, row)) + b"}" for row in rows]


def infer_response(answer: Answer, options: Options) -> bytes | Split | Steps[bytes | Split]:
    """The whole response to an infer request, or the steps to it where it is large: its rows of the outputs wanted.

    Raises (the steps too):
        BadRequest: an output was asked for that the model does not have, or in JSON what has no form there.
    """
    if options.binary:
        return binary_response(answer, options)
    rendered = answer.outputs.rendered
    if options.outputs is None and not answer.whole and answer.stop - answer.start == 1:
        rows = rendered.get("infer")
        if not isinstance(rows, InferRows):
            if large(answer.outputs):
                return infer_steps(answer, options)
            rows = rendered["infer"] = InferRows(answer)
        if rows.template is not None:
            row, id_json = answer.start, options.id_json
            return rows.template % (answer.queue_s * 1000, rows.sizes[row] + len(id_json), id_json, *rows.texts[row])
    if large(answer.outputs):
        return infer_steps(answer, options)
    return predicted(answer, _infer_pieces(answer, options))


def predict_response(
    answer: Answer, instances: int, headers: bytes = b"", told: bytes = b""
) -> bytes | Split | Steps[bytes | Split]:
    """The whole response to a V1 request, or the steps to it where it is large: a prediction for each of `instances`.

    `headers` are whole lines, `told` what follows the predictions: nothing, or a comma and fields of the object.

    Raises (the steps too):
        BadRequest: an output holds what JSON cannot express.
        ModelFailed: an output does not have a row for each instance.
    """
    if answer.whole:
        answer = _as_rows(answer, instances)
    if "predict" not in answer.outputs.rendered and large(answer.outputs):
        return predict_steps(answer, instances, headers, told)
    rows = answer.outputs.rendered.get("predict")
    if not isinstance(rows, PredictRows):
        rows = answer.outputs.rendered["predict"] = PredictRows(answer)
    if rows.template is not None and answer.stop - answer.start == 1 and not told:
        text = rows.texts[answer.start]
        return rows.template % (answer.queue_s * 1000, headers, _AROUND_PREDICTION + len(text), text)
    return predicted(answer, _predict_pieces(answer, rows, told), headers)


def _infer_pieces(answer: Answer, options: Options) -> tuple[bytes, ...]:
    pieces = [start_of(answer.key), options.id_json]
    lead = b',"outputs":['
    for position in positions_of(answer.outputs.tensors, options.outputs):
        pieces += (lead, *in_json(answer, position))
        lead = b"]},"
    pieces.append(b"]}]}")
    return tuple(pieces)


def _predict_pieces(answer: Answer, rows: PredictRows, told: bytes) -> tuple[bytes, ...]:
    start, stop = answer.start, answer.stop
    for tensor, bad in zip(answer.outputs.tensors, rows.bad, strict=True):
        if bad and not bad.isdisjoint(range(start, stop)):
            raise inexpressible(tensor)
    return b'{"predictions":[', b",".join(rows.texts[start:stop]), b"]" + told + b"}"


def _as_rows(answer: Answer, instances: int) -> Answer:
    """A whole answer as rows, one for each instance; one instance is all there is to an answer without rows."""
    tensors = answer.outputs.tensors
    outputs = answer.outputs
    if not all(tensor.shape for tensor in tensors):
        if instances != 1:
            raise ModelFailed(f"the model answers without rows, so it takes one instance at a time, not {instances}")
        outputs = Outputs(tuple(Tensor(t.name, t.datatype, (1, *t.shape), t.data) for t in tensors))
    for tensor in outputs.tensors:
        if tensor.shape[0] != instances:
            raise ModelFailed(
                f"output {tensor.name!r} has {tensor.shape[0]} rows for {instances} instances; "
                "use POST /v2/models/{model}/infer for a model whose outputs are not rows"
            )
    return replace(answer, outputs=outputs, start=0, stop=instances)


_PREDICTION = b'{"predictions":[%b]}'
_AROUND_PREDICTION = len(_PREDICTION) - 2


def _predict_template(answer: Answer) -> bytes:
    head = before_queue(answer.key, answer.variant).replace(b"%", b"%%")
    times = b"%%.3f, run;dur=%.3f\r\n%%bcontent-length: %%d\r\n\r\n" % (answer.run_s * 1000)
    return head + times + _PREDICTION


# Bounded: a version's outputs have few shapes, and what was forgotten is put together again in 5 us.
@lru_cache(maxsize=1024)
def _frame(key: VersionKey, variant: str, outputs: tuple[tuple[str, str, tuple[int, ...]], ...]) -> _Frame:
    body = [start_of(key), b"%b"]
    lead = b',"outputs":['
    for name, datatype, trailing in outputs:
        body += (lead, opening(name, datatype, (1, *trailing)), b"%b")
        lead = b"]},"
    body.append(b"]}]}")
    size = sum(len(piece) for piece in body if piece != b"%b")
    # Everything goes through formatting once more, so a percent sign in a name is doubled.
    text = b"".join(piece if piece == b"%b" else piece.replace(b"%", b"%%") for piece in body)
    return _Frame(before_queue(key, variant).replace(b"%", b"%%"), b"\r\ncontent-length: %d\r\n\r\n" + text, size)
