"""One request and the answer it waits for, in its place among the others of its connection."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

from serving.edge.http import binary_body, codec, instances
from serving.edge.http.answers import Refusal, Split, refusal_of, refused
from serving.edge.http.edge import Edge
from serving.edge.http.oversize_decoder import Document
from serving.edge.http.rendering import infer_response, predict_response
from serving.edge.http.request_head import RequestHead
from serving.edge.http.request_options import Options
from serving.errors import ModelFailed, ServingError
from serving.features.entity_rows import EntityRows
from serving.features.plan import ReadPlan
from serving.inference import Answer, Buffer, Request, Tensor

log = logging.getLogger(__name__)


class Line(Protocol):
    """A connection as its exchanges see it."""

    def settled(self, exchange: Exchange) -> None:
        """The exchange has its answer now."""


class Exchange:
    """The edge's side of a request: decodes it, is called with the outcome, holds the answer until it may be written.

    `held` counts its bytes in the worker's budget. `last` closes the connection after it. `plain` lets the answer go
    out as it is. `tail` are tensors that follow the answer without having been joined to it.
    """

    __slots__ = ("_asked", "_edge", "_line", "_request", "answer", "gone", "head", "held", "last", "plain", "tail")

    def __init__(self, line: Line, edge: Edge, head: RequestHead, held: int) -> None:
        self._line = line
        self._edge = edge
        self._request: Request | None = None
        self._asked: codec.Asked | int = 0
        self.head = head
        self.held = held
        self.gone = False
        self.answer: bytes | None = None
        self.last = not head.keep_alive
        self.plain = head.plain
        self.tail: tuple[Buffer, ...] = ()

    def predict(self, body: bytes) -> None:
        """Decode a prediction's body and hand it to the request path, which may answer at once."""
        edge = self._edge
        received_at = edge.clock()
        target = self.head.target
        try:
            form = edge.predictions.instance_form(target.model, target.version) if self.head.by_name else None
            if self.head.json_size is not None:
                self._predict_binary(body, self.head.json_size, received_at)
            elif len(body) > edge.limits.inline_json_bytes:
                edge.oversize.decode(Document(self, form, body, received_at))
            elif form is None:
                asked = codec.decode(body, edge.limits)
                self.accept(asked.inputs, asked, received_at)
            elif isinstance(form, ReadPlan):
                rows = form.read(instances.listed(body))
                self.accept((), rows.count, received_at, rows)
            else:
                self.accept(*instances.decode(body, form), received_at)
        except ServingError as error:
            self.refuse_error(error)
        except Exception:
            # A defect of ours costs this request: raised on, it would end the connection, or stall it where it was
            # held and is accepted in another request's completion.
            log.exception("a request could not be accepted")
            request, self._request = self._request, None
            if request is not None:
                request.leave()
            if self.answer is None:
                self.refuse_error(ModelFailed("the gateway failed on this request; its log says why"))

    def accept(
        self, tensors: Sequence[Tensor], asked: codec.Asked | int, received_at: float, rows: EntityRows | None = None
    ) -> None:
        """Hand tensors to the request path, or `rows` of entities, which it looks up and of which the first decides the
        variant; `asked` is what the encoder needs (V1: the number of instances).
        """
        head = self.head
        request = Request(head.target.model, tensors, self, received_at, version=head.target.version)
        request.key = head.key
        request.pinned = head.pinned
        request.timeout_s = head.timeout_s
        if rows is not None:
            request.entities = rows
            request.key = rows.key if head.key is None else head.key
        if not isinstance(asked, int) and asked.options is not codec.NO_OPTIONS:
            _schedule(request, asked.options)
        self._asked = asked
        self._request = request
        request.accepted_at = self._edge.clock()
        self._edge.predictions.accept(request)

    def answered(self, request: Request, outcome: Answer | ServingError) -> None:
        """Called once by the request path, on the loop's thread; whatever happens here stays with this exchange."""
        self._request = None
        try:
            answer = self._encoded(request, outcome)
            if isinstance(answer, Split):
                self.plain = False
                answer, self.tail = answer
            self.answer = answer
        except ServingError as error:
            self.answer = refused(refusal_of(error))
        except Exception as error:  # noqa: BLE001 - one answer that cannot be encoded must not cost the batch's others
            failure = ModelFailed(f"the answer could not be encoded: {type(error).__name__}")
            self.answer = refused(refusal_of(failure))
        self._line.settled(self)

    def refuse_error(self, error: ServingError) -> None:
        """Answer with an error of the edge's own making, counted as refused."""
        self._edge.observer.refused(self.head.target.model, error.reason)
        self.refuse(refusal_of(error))

    def refuse(self, refusal: Refusal) -> None:
        """Answer with an error; a `last` one closes the connection."""
        if refusal.last:
            self.last = True
            self.plain = False
        self.give(refused(refusal))

    def give(self, answer: bytes) -> None:
        """Answer with a whole response."""
        self.answer = answer
        self._line.settled(self)

    def left(self) -> None:
        """The connection is gone: the rows do not run if they have not started, and nothing is held any more."""
        self._edge.budget.used -= self.held
        self.held = 0
        self.gone = True
        request, self._request = self._request, None
        if request is not None:
            request.leave()

    def _predict_binary(self, body: bytes, json_size: int, received_at: float) -> None:
        edge, target = self._edge, self.head.target
        if json_size > edge.limits.inline_json_bytes:
            edge.oversize.decode(Document(self, None, body, received_at, json_size))
            return
        if json_size:
            asked = edge.binary.decode(body, json_size)
        else:
            signature = edge.predictions.describe(target.model, target.version).signature
            asked = binary_body.raw(body, signature, edge.limits)
        self.accept(asked.inputs, asked, received_at)

    def _encoded(self, request: Request, outcome: Answer | ServingError) -> bytes | Split:
        if isinstance(outcome, ServingError):
            return refused(refusal_of(outcome))
        asked = self._asked
        if isinstance(asked, int):
            return predict_response(outcome, asked, _looked_up(request))
        return infer_response(outcome, asked.options)


def _schedule(request: Request, options: Options) -> None:
    """What the caller asks of the queue; of two times allowed the shorter one counts."""
    request.priority = options.priority
    asked_s = options.timeout_s
    if asked_s is not None and (request.timeout_s is None or asked_s < request.timeout_s):
        request.timeout_s = asked_s


def _looked_up(request: Request) -> bytes:
    """Header lines for a request by entity: how long the look-up took, and which values were defaults."""
    if request.entities is None:
        return b""
    took = b"server-timing: features;dur=%.3f\r\n" % (request.features_s * 1000)
    return took + b"x-sluice-degraded: %b\r\n" % request.degraded.encode() if request.degraded else took
