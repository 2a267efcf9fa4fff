"""One call with one message each way, and the answer it waits for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from serving.edge.grpc.answers import HeaderList, Refusal, begun, begun_by, ended, ended_with, refusal_of
from serving.edge.grpc.call_head import CallHead
from serving.edge.grpc.codec import Asked, Decoded
from serving.edge.grpc.edge import GrpcEdge
from serving.edge.grpc.infer_request import hand_over, in_turns, request_of
from serving.edge.grpc.inflation import Inflating
from serving.edge.grpc.message_reader import Message, MessageReader, whole
from serving.edge.grpc.outgoing import Frame, frame_size
from serving.edge.grpc.rendering import framed, infer_frame
from serving.errors import BadRequest, DeadlineExceeded, ModelFailed, ServingError
from serving.inference import Answer, Buffer, Request

log = logging.getLogger(__name__)

# From this size on an answer is given only where there is room for it, since its reader may be slow.
LARGE_ANSWER = 65_536

# Answers a serialized request with a serialized response, perhaps later; None stands for ModelInfer.
Handler = Callable[[GrpcEdge, CallHead, Buffer], bytes | Coroutine[Any, Any, bytes]]


class Line(Protocol):
    """A connection as its calls see it."""

    def respond(self, stream_id: int, headers: HeaderList, frame: Frame, trailers: HeaderList) -> None:
        """Send a whole response with one message."""

    def begin(self, stream_id: int, headers: HeaderList) -> None:
        """Send what begins a response."""

    def send(self, stream_id: int, frame: Frame) -> None:
        """Send a message with its prefix."""

    def finish(self, stream_id: int, trailers: HeaderList, *, complete: bool) -> None:
        """Send what ends a response; `complete` as in `refuse`."""

    def refuse(self, stream_id: int, refusal: Refusal, *, complete: bool) -> None:
        """Send a response that is nothing but an error; `complete` says that the client has sent all it had."""

    def absorb(self, stream_id: int, size: int) -> None:
        """So many received bytes were taken: the client may send as many more."""

    def queued(self, stream_id: int) -> int:
        """Bytes of messages that the client has not taken yet."""


class UnaryCall:
    """The edge's side of a call: collects its message, is called with the outcome.

    `held` counts its bytes in the worker's budget. `complete` says that the client has sent all it had.
    """

    __slots__ = (
        "_asked",
        "_began_at",
        "_edge",
        "_gone",
        "_handler",
        "_left",
        "_line",
        "_messages",
        "_reader",
        "_request",
        "_spent_s",
        "_taken",
        "_taken_at",
        "complete",
        "head",
        "held",
        "stream_id",
    )

    def __init__(self, line: Line, edge: GrpcEdge, stream_id: int, head: CallHead, handler: Handler | None) -> None:
        self._line = line
        self._edge = edge
        self._handler = handler
        self._reader: MessageReader | None = None
        self._messages: list[Message] = []
        self._request: Request | None = None
        self._asked: Asked | None = None
        self._began_at = edge.clock()
        # When the answer was given, or more of it taken, and how much of it was left then.
        self._taken_at: float | None = None
        self._left = 0
        # How long what was left has waited, and how much was taken of it; known at a sweep.
        self._spent_s = 0.0
        self._taken = 0
        self._gone = False
        self.complete = False
        self.head = head
        self.held = 0
        self.stream_id = stream_id

    def receive(self, data: bytes, end: bool) -> int:  # noqa: FBT001 - a keyword costs 0.1 us here
        """Bytes of the client's message, `end` with the last; returns how many of them the client must wait for."""
        self.complete = end
        if self._taken_at is not None:
            return 0
        try:
            message = self._message(data, end)
            if isinstance(message, Buffer):
                self._act(message)
            elif message is not None:
                self._inflate(message)
        except ServingError as error:
            self._refuse_error(error)
        except Exception:
            # A defect of ours costs this call, and not the others of its connection.
            log.exception("a call could not be carried out")
            request, self._request = self._request, None
            if request is not None:
                request.leave()
            self._refuse_error(ModelFailed("the gateway failed on this request; its log says why"))
        return 0

    def answered(self, request: Request, outcome: Answer | ServingError) -> None:
        """Called once by the request path, on the loop's thread; whatever happens here stays with this call."""
        self._request = None
        try:
            if isinstance(outcome, ServingError):
                self._refuse(refusal_of(outcome, request))
            else:
                self._answer(request, outcome)
        except ServingError as error:
            self._refuse(refusal_of(error, request))
        except Exception as error:
            log.exception("an answer could not be encoded")
            failure = ModelFailed(f"the answer could not be encoded: {type(error).__name__}")
            self._refuse(refusal_of(failure, request))

    def closed(self) -> None:
        """The stream is over, answered or not: rows do not run if they have not started, and nothing is held."""
        self._gone = True
        self._edge.budget.used -= self.held
        self.held = 0
        request, self._request = self._request, None
        if request is not None:
            request.leave()

    def sweep(self, now: float, spent_s: float) -> bool:
        """Refuse a message that does not arrive in time; False where the client takes its answer too slowly.

        `spent_s` is this call's share of the time since the last sweep, with others whose answers wait as well.
        """
        limits = self._edge.limits
        if self._taken_at is not None:
            left = self._line.queued(self.stream_id)
            if left < self._left:
                self._taken += self._left - left
                self._left, self._taken_at = left, now
            self._spent_s += spent_s
            return now - self._taken_at <= limits.write_stall_s and self._spent_s <= limits.read_allowed_s(self._taken)
        received = self._reader.partial if self._reader else 0
        if not self.complete and now - self._began_at > limits.body_allowed_s(received):
            self._refuse_error(DeadlineExceeded(f"the message did not arrive within {limits.body_s:g} s"))
        return True

    def drain(self) -> None:
        """The worker stops; this call is answered first."""

    def pump(self) -> None:
        """The client has taken bytes: of no matter for an only answer."""

    def _message(self, data: bytes, end: bool) -> Message | None:  # noqa: FBT001 - see receive
        """The message, once the client has sent it and nothing after it."""
        most = self._edge.limits.max_message_bytes
        if end and self._reader is None:
            only = whole(data, most)
            if only is not None:
                self._claim(len(only))
                return only
        if self._reader is None:
            inflated = self._edge.limits.max_inflated_bytes
            self._reader = MessageReader(most, self.head.encoding, self._claim, inflated, most_messages=1)
        self._messages += self._reader.feed(data)
        if not end:
            return None
        if self._reader.partial or not self._messages:
            raise BadRequest("the call has no message, or only a part of one")
        return self._messages.pop()

    def _inflate(self, steps: Inflating) -> None:
        """Go on with what is inflated: at once where that is small."""
        try:
            next(steps)
        except StopIteration as whole_one:
            self._act(whole_one.value)
        else:
            self._edge.turns.add(in_turns(steps, self._act), self._unfit, self._has_gone)

    def _act(self, message: Buffer) -> None:
        edge = self._edge
        if self._handler is not None:
            answer = self._handler(edge, self.head, message)
            if isinstance(answer, bytes):
                self._give(begun(list(self.head.extra)), framed(answer), ended())
            else:
                task = asyncio.get_running_loop().create_task(self._answer_later(answer))
                edge.orders.add(task)
                task.add_done_callback(edge.orders.discard)
            return
        received_at = edge.clock()
        came = edge.codec.decode(message)
        if isinstance(came, Decoded):
            self._ask(came, received_at)
        else:
            edge.turns.add(in_turns(came, lambda decoded: self._ask(decoded, received_at)), self._unfit, self._has_gone)

    def _ask(self, decoded: Decoded, received_at: float) -> None:
        edge = self._edge
        self._asked = decoded.asked
        request = request_of(decoded, self.head, self, received_at, received_at - self._began_at)
        self._request = request
        hand_over(edge, request, decoded, self._unfit)

    def _has_gone(self) -> bool:
        return self._gone

    def _unfit(self, error: ServingError) -> None:
        self._request = None
        self._refuse_error(error)

    async def _answer_later(self, coming: Coroutine[Any, Any, bytes]) -> None:
        """A caller who leaves meanwhile ends nothing that was begun."""
        try:
            frame = framed(await coming)
            if not self._gone:
                self._give(begun(list(self.head.extra)), frame, ended())
        except ServingError as error:
            self._refuse_error(error)
        except Exception:
            log.exception("%s could not be answered", self.head.path)
            self._refuse_error(ModelFailed("the gateway failed on this request; its log says why"))

    def _answer(self, request: Request, answer: Answer) -> None:
        asked = self._asked
        assert asked is not None  # noqa: S101 - for the type checker; accepted requests were decoded
        frame = infer_frame(answer, asked.id, asked.outputs)
        headers = begun_by(answer.key, answer.variant)
        if self.head.extra:
            headers = (*headers, *self.head.extra)
        self._give(headers, frame, ended_with(answer, request))

    def _give(self, headers: HeaderList, frame: Frame, trailers: HeaderList) -> None:
        size = frame_size(frame)
        if size >= LARGE_ANSWER:
            self._claim(size)
        else:
            self.held += size
            self._edge.budget.used += size
        self._left = size
        self._taken_at = self._edge.now
        self._line.respond(self.stream_id, headers, frame, trailers)

    def _refuse_error(self, error: ServingError) -> None:
        """End with an error of the edge's own making, counted as refused."""
        self._edge.observer.refused("", error.reason, self.head.context)
        self._refuse(refusal_of(error))

    def _refuse(self, refusal: Refusal) -> None:
        self._taken_at = self._edge.now
        if not self._gone:
            self._line.refuse(self.stream_id, refusal, complete=self.complete)

    def _claim(self, size: int) -> None:
        self._edge.take(size)
        self.held += size
