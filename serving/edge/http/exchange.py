"""One request and the answer it waits for, in its place among the others of its connection."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import Protocol

import orjson

from serving.edge.http import binary_body, codec, instances
from serving.edge.http.answers import Refusal, Split, refusal_of, refused
from serving.edge.http.edge import Edge
from serving.edge.http.large_rendering import Steps
from serving.edge.http.limits import HttpLimits
from serving.edge.http.oversize_decoder import Document
from serving.edge.http.rendering import infer_response, predict_response
from serving.edge.http.request_head import RequestHead
from serving.edge.http.request_options import Options
from serving.errors import ModelFailed, ServingError
from serving.features.entity_rows import EntityRows
from serving.features.plan import ReadPlan
from serving.inference import Answer, Buffer, CallerContext, Request, Tensor
from serving.request_path.predictions import InstanceForm

# JSON up to this size is never looked at before it is decoded.
_LIGHT_BYTES = 65_536
_LIGHT_VALUES = 32_768
# By entity each value is looked at, not only parsed: 230 kB of the flights take 7 ms and 460 kB 14, and of instances
# that are one id each 8,192 take as long as the former.
_LIGHT_ENTITIES_BYTES = 262_144
_LIGHT_ENTITIES = 8_192

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

    def predict(self, body: Buffer) -> None:
        """Take a prediction's body, and hand it to the request path, which may answer at once."""
        if self.head.coding:
            self._edge.compression.inflate(self, body)
        else:
            self._read(body)

    def hold(self, size: int) -> Refusal | None:
        """Count so many bytes more for it; why there is no room for them, or None."""
        return self._hold(size, self.head.context)

    def inflated(self, body: bytes) -> None:
        """Its body is no longer compressed."""
        self._read(body)

    def deflated(self, answer: bytes | Split) -> None:
        """Its answer is compressed, or had better not be."""
        self._give_any(answer)

    def _read(self, body: Buffer) -> None:
        edge = self._edge
        received_at = edge.clock()
        target = self.head.target
        try:
            if self.head.json_size is not None:
                self._predict_binary(body, self.head.json_size, received_at)
                return
            form = edge.predictions.instance_form(target.model, target.version) if self.head.by_name else None
            if not isinstance(body, bytes):
                body = bytes(body)
            if len(body) > _LIGHT_BYTES and _heavy(body, form, edge.limits):
                edge.oversize.decode(Document(self, form, body, received_at))
            elif form is None:
                asked = codec.decode(body, edge.limits)
                self.accept(asked.inputs, asked, received_at)
            elif isinstance(form, ReadPlan):
                rows = instances.entities(body, form)
                self.accept((), rows.count, received_at, rows)
            else:
                self.accept(*instances.decode(body, form, edge.limits), received_at)
        except ServingError as error:
            self.refuse_error(error)
        except Exception:
            # A defect of ours costs this request: raised on, it would end the connection, or stall it where it was
            # held and is accepted in another request's completion.
            log.exception("a request could not be accepted")
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
        request.priority = head.priority
        request.context = head.context
        if rows is not None:
            if rows.wants is not None and rows.wants.values:
                self._edge.predictions.administration.permit_values(head.authorization)
            request.entities = rows
            request.key = rows.key if head.key is None else head.key
        if not isinstance(asked, int):
            if asked.unchecked:
                self._edge.turns.add(self._checking(asked, received_at), self.refuse_error, self._is_gone)
                return
            if asked.options is not codec.NO_OPTIONS:
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
            if type(answer) is not bytes or self.head.accepts.coding:
                self._finish(answer, outcome)
                return
        except ServingError as error:
            answer = refused(refusal_of(error, request))
        except Exception as error:  # noqa: BLE001 - one answer that cannot be encoded must not cost the batch's others
            failure = ModelFailed(f"the answer could not be encoded: {type(error).__name__}")
            answer = refused(refusal_of(failure, request))
        self.answer = answer
        self._line.settled(self)

    def refuse_error(self, error: ServingError) -> None:
        """Answer with an error of the edge's own making, counted as refused, unless it is answered already."""
        request, self._request = self._request, None
        if request is not None:
            request.leave()
        if self.answer is not None:
            return
        self._edge.observer.refused(self.head.target.model, error.reason, self.head.context)
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

    def _finish(self, answer: bytes | Split | Steps[bytes | Split], outcome: Answer | ServingError) -> None:
        """Give an answer that is large, or may be compressed; what is still to be made of it is counted meanwhile."""
        if isinstance(answer, bytes | Split):
            self._compress(answer, outcome)
            return
        if isinstance(outcome, Answer):
            size = sum(len(tensor.data) for tensor in outcome.outputs.tensors)
            rows = 1 if outcome.whole else max(outcome.outputs.tensors[0].shape[0], 1)
            share = size * (1 if outcome.whole else outcome.stop - outcome.start) // rows
            refusal = self._hold(share, self._name_only())
            if refusal is not None:
                self.refuse(refusal)
                return
        self._edge.turns.add(self._rendering(answer, outcome), self._failed, self._is_gone)

    def _rendering(
        self, steps: Steps[bytes | Split], outcome: Answer | ServingError
    ) -> Generator[None, None, Callable[[], None]]:
        answer = yield from steps
        return partial(self._compress, answer, outcome)

    def _compress(self, answer: bytes | Split, outcome: Answer | ServingError) -> None:
        head, tail = (answer, ()) if isinstance(answer, bytes) else answer
        size = len(head) + sum(map(len, tail))
        accepts = self.head.accepts
        worth = size >= self._edge.limits.compress_min_bytes or not accepts.plain
        if accepts.coding and worth and isinstance(outcome, Answer):
            self._count(size)
            self._edge.compression.deflate(self, head, tail)
        else:
            self._give_any(answer)

    def _give_any(self, answer: bytes | Split) -> None:
        """Give an answer; a large one only where there is room for it, since its reader may be slow."""
        if isinstance(answer, Split):
            self.plain = False
            answer, tail = answer
            budget = self._edge.budget
            if not budget.fits(sum(map(len, tail)) - self.held):
                self.refuse(self._edge.no_room(self._name_only()))
                return
            self.tail = tail
        self.give(answer)

    def _failed(self, error: ServingError) -> None:
        """The answer could not be made; who asked was answered by the request path, which has counted it."""
        if self.answer is None:
            self.give(refused(refusal_of(error)))

    def _checking(self, asked: codec.Asked, received_at: float) -> Generator[None, None, Callable[[], None]]:
        checked = yield from binary_body.check_steps(asked, self._edge.limits)
        return partial(self.accept, checked.inputs, checked, received_at)

    def _hold(self, size: int, context: CallerContext | None) -> Refusal | None:
        refusal = self._edge.hold(size, context)
        if refusal is None:
            self.held += size
        return refusal

    def _name_only(self) -> CallerContext | None:
        """Its caller's context for a refusal after the model's answer, which has its trace: no second one is made."""
        context = self.head.context
        return None if context is None else CallerContext(request_id=context.request_id)

    def _count(self, size: int) -> None:
        """Count bytes that are there already, whether they fit or not."""
        self.held += size
        self._edge.budget.used += size

    def _is_gone(self) -> bool:
        return self.gone

    def left(self) -> None:
        """The connection is gone: the rows do not run if they have not started, and nothing is held any more."""
        self._edge.budget.used -= self.held
        self.held = 0
        self.gone = True
        request, self._request = self._request, None
        if request is not None:
            request.leave()

    def _predict_binary(self, body: Buffer, json_size: int, received_at: float) -> None:
        edge, target = self._edge, self.head.target
        limits = edge.limits
        large = json_size > limits.inline_json_bytes
        # Views cannot be counted in.
        if large or (json_size > _LIGHT_BYTES and _heavy(bytes(memoryview(body)[:json_size]), None, limits)):
            edge.oversize.decode(Document(self, None, body, received_at, json_size))
            return
        if json_size:
            asked = edge.binary.decode(body, json_size)
        else:
            signature = edge.predictions.describe(target.model, target.version).signature
            asked = binary_body.raw(body, signature, limits)
        self.accept(asked.inputs, asked, received_at)

    def _encoded(self, request: Request, outcome: Answer | ServingError) -> bytes | Split | Steps[bytes | Split]:
        if isinstance(outcome, ServingError):
            return refused(refusal_of(outcome, request))
        asked = self._asked
        if isinstance(asked, int):
            return predict_response(outcome, asked, _looked_up(request), _told(request))
        return infer_response(outcome, asked.options)


def _heavy(body: bytes, form: InstanceForm | None, limits: HttpLimits) -> bool:
    """Whether decoding JSON would hold the loop: 32,768 short strings take 10 ms, as 1 MB of numbers does."""
    if isinstance(form, ReadPlan) and (len(body) > _LIGHT_ENTITIES_BYTES or body.count(b"{") > _LIGHT_ENTITIES):
        return True
    return len(body) > limits.inline_json_bytes or body.count(b",") > _LIGHT_VALUES


def _schedule(request: Request, options: Options) -> None:
    """What the caller asks of the queue, of two times allowed the shorter one; and its own name for the request."""
    request.id_json = options.id_json
    request.priority = options.priority or request.priority
    asked_s = options.timeout_s
    if asked_s is not None and (request.timeout_s is None or asked_s < request.timeout_s):
        request.timeout_s = asked_s


def _told(request: Request) -> bytes:
    """What stands behind the predictions, where the caller asked what became of its features."""
    rows = request.entities
    if not isinstance(rows, EntityRows) or rows.told is None:
        return b""
    return b"," + orjson.dumps(rows.told)[1:-1]


def _looked_up(request: Request) -> bytes:
    """Header lines for a request by entity: how long the look-up took, and which values were defaults."""
    if request.entities is None:
        return b""
    took = b"server-timing: features;dur=%.3f\r\n" % (request.features_s * 1000)
    return took + b"x-sluice-degraded: %b\r\n" % request.degraded.encode() if request.degraded else took
