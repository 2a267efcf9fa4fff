"""ModelStreamInfer: requests of a stream, each answered in its turn, an error being an answer like any other."""

from __future__ import annotations

import logging
from collections import deque
from functools import partial

from serving.edge.grpc.call import LARGE_ANSWER
from serving.edge.grpc.codec import Asked, Decoded
from serving.edge.grpc.edge import GrpcEdge
from serving.edge.grpc.infer_request import hand_over, in_turns, request_of
from serving.edge.grpc.outgoing import Frame, frame_size
from serving.edge.grpc.rendering import framed, framed_pieces, infer_pieces, varint
from serving.edge.grpc.stream_call import StreamCall
from serving.errors import ModelFailed, ServingError
from serving.inference import Answer, Buffer, Request
from serving.protocol.open_inference import InferParameter, ModelInferResponse, ModelStreamInferResponse

log = logging.getLogger(__name__)

# Field 2 of ModelStreamInferResponse, a message.
_INFER_RESPONSE = b"\x12"
# What tells readers of a stream, by Triton's name, that no other response to the same request follows.
_FINAL = ModelInferResponse(parameters={"triton_final_response": InferParameter(bool_param=True)}).SerializeToString()


class _Turn:
    """One request of the stream; its answer waits for those of all earlier ones."""

    __slots__ = ("_stream", "asked", "frame", "request", "size")

    def __init__(self, stream: InferStream, size: int) -> None:
        self._stream = stream
        self.size = size
        self.asked: Asked | None = None
        self.request: Request | None = None
        self.frame: Frame | None = None

    def answered(self, request: Request, outcome: Answer | ServingError) -> None:
        """Called once by the request path, on the loop's thread."""
        del request
        self.request = None
        self.settle(outcome)

    def unfit(self, error: ServingError) -> None:
        """Its strings are none."""
        self.request = None
        self.settle(error)

    def settle(self, outcome: Answer | ServingError) -> None:
        """Encode, and let the stream send what is due."""
        identity = self.asked.id if self.asked else ""
        try:
            frame = _failed(outcome, identity) if isinstance(outcome, ServingError) else self._counted(outcome)
        except ServingError as error:
            frame = _failed(error, identity)
        except Exception as error:
            log.exception("an answer could not be encoded")
            frame = _failed(ModelFailed(f"the answer could not be encoded: {type(error).__name__}"), identity)
        self.frame = frame
        self._stream.settled()

    def _counted(self, answer: Answer) -> Frame:
        """The answer, counted from now on: it may wait for earlier ones. A large one is given only if there is room."""
        frame = self._encoded(answer)
        size = frame_size(frame)
        if size >= LARGE_ANSWER:
            self._stream.call.claim(size)
        else:
            self._stream.call.count(size)
        self.size += size
        return frame

    def _encoded(self, answer: Answer) -> Frame:
        asked = self.asked
        assert asked is not None  # noqa: S101 - for the type checker; accepted requests were decoded
        pieces = [_FINAL, *infer_pieces(answer, asked.id, asked.outputs)]
        size = sum(map(len, pieces))
        return framed_pieces((_INFER_RESPONSE + varint(size), *pieces))


class InferStream:
    """The conversation: answers go out in the order of their requests, since not every caller gives them ids.

    An error is told in `error_message` and ends nothing.
    """

    endless = False

    def __init__(self, call: StreamCall, edge: GrpcEdge) -> None:
        self.call = call
        self._edge = edge
        self._turns: deque[_Turn] = deque()

    @property
    def full(self) -> bool:
        """As many requests are in flight as a stream may have."""
        return len(self._turns) >= self._edge.limits.max_stream_in_flight

    @property
    def idle(self) -> bool:
        """Every request was answered."""
        return not self._turns

    def hears(self, message: Buffer) -> None:
        """Hand a request to the request path; whatever is wrong with it is its answer."""
        turn = _Turn(self, len(message))
        self._turns.append(turn)
        try:
            came = self._edge.codec.decode(message)
        except ServingError as error:
            self._refused(turn, error)
            return
        if isinstance(came, Decoded):
            self._ask(turn, came)
        else:
            ask, refused = partial(self._ask, turn), partial(self._refused, turn)
            self._edge.turns.add(in_turns(came, ask), refused, lambda: turn not in self._turns)

    def _refused(self, turn: _Turn, error: ServingError) -> None:
        self._edge.observer.refused("", error.reason, self.call.head.context)
        turn.settle(error)

    def _ask(self, turn: _Turn, decoded: Decoded) -> None:
        call = self.call
        turn.asked = decoded.asked
        request = request_of(decoded, call.head, turn, self._edge.clock(), call.spent_s)
        turn.request = request
        hand_over(self._edge, request, decoded, turn.unfit)

    def settled(self) -> None:
        """Send every answer whose turn it is."""
        turns = self._turns
        while turns and turns[0].frame is not None:
            turn = turns.popleft()
            self.call.release(turn.size)
            self.call.say(turn.frame or b"")

    def sweep(self) -> None:
        """Deadlines are the request path's."""

    def left(self) -> None:
        """The client has gone: what has not started does not run."""
        turns, self._turns = self._turns, deque()
        for turn in turns:
            request, turn.request = turn.request, None
            if request is not None:
                request.leave()


def _failed(error: ServingError, identity: str) -> bytes:
    response = ModelStreamInferResponse(error_message=error.message)
    if identity:
        response.infer_response.CopyFrom(ModelInferResponse(id=identity))
    return framed(response.SerializeToString())
