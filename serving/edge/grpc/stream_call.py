"""A call with any number of messages each way: what it says to them is a conversation's."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Protocol

from serving.edge.grpc.answers import Refusal, begun, ended, refusal_of, trailers
from serving.edge.grpc.call import Line
from serving.edge.grpc.call_head import CallHead
from serving.edge.grpc.edge import GrpcEdge
from serving.edge.grpc.infer_request import in_turns
from serving.edge.grpc.inflation import Inflating
from serving.edge.grpc.message_reader import Message, MessageReader
from serving.edge.grpc.outgoing import Frame, frame_size
from serving.edge.grpc.untaken import Untaken
from serving.errors import BadRequest, DeadlineExceeded, ModelFailed, NotReady, ServingError
from serving.inference import Buffer

log = logging.getLogger(__name__)

# Answers that a client has not taken; beyond it its next requests wait.
_MOST_QUEUED = 1 << 20
# Messages heard in one turn of the loop: thousands of tiny ones fit into what is read at once.
_MOST_HEARD = 64


class Conversation(Protocol):
    """What a stream of messages is about."""

    def hears(self, message: Buffer) -> None:
        """A message of the client; raises a ServingError that ends the call."""

    @property
    def full(self) -> bool:
        """No further message can be heard now."""

    @property
    def idle(self) -> bool:
        """Nothing is owed for what was heard."""

    def sweep(self) -> None:
        """Called several times a second."""

    def left(self) -> None:
        """The client has gone."""

    @property
    def endless(self) -> bool:
        """It goes on after the client has sent all it had."""


class StreamCall:
    """The edge's side of such a call; what arrives while the conversation is full waits here, and holds the client up.

    `held` counts its bytes in the worker's budget.
    """

    __slots__ = (
        "_arriving_since",
        "_began_at",
        "_begun",
        "_conversation",
        "_draining",
        "_edge",
        "_hearable",
        "_inflating",
        "_line",
        "_over",
        "_reader",
        "_untaken",
        "_waiting",
        "_withheld",
        "complete",
        "head",
        "held",
        "stream_id",
    )

    def __init__(self, line: Line, edge: GrpcEdge, stream_id: int, head: CallHead) -> None:
        self._line = line
        self._edge = edge
        limits = edge.limits
        self._reader: MessageReader | None = MessageReader(
            limits.max_message_bytes, head.encoding, self.claim, limits.max_inflated_bytes
        )
        self._waiting: deque[Message] = deque()
        self._inflating = False
        self._withheld = 0
        self._hearable = _MOST_HEARD
        self._untaken = Untaken()
        self._began_at = self._arriving_since = edge.clock()
        self._begun = False
        self._over = False
        self._draining = False
        self._conversation: Conversation | None = None
        self.complete = False
        self.head = head
        self.held = 0
        self.stream_id = stream_id

    def talk(self, conversation: Conversation) -> None:
        """Begin; nothing was received before."""
        self._conversation = conversation

    @property
    def spent_s(self) -> float:
        """How much of the call's time is over."""
        return self._edge.clock() - self._began_at

    def receive(self, data: bytes, end: bool) -> int:  # noqa: FBT001 - as UnaryCall.receive
        """Bytes of the client's messages, `end` with the last; returns how many of them the client must wait for."""
        self.complete = end
        reader = self._reader
        if reader is None:
            return 0
        before = reader.partial
        try:
            heard = reader.feed(data)
            if end and reader.partial:
                raise BadRequest("the last message of the stream is only a part of one")
        except ServingError as error:
            self.fail(error)
            return 0
        if heard or not before:
            self._arriving_since = self._edge.clock()
        self._waiting.extend(heard)
        self.pump()
        if not self._waiting or self._over:
            return 0
        self._withheld += len(data)
        return len(data)

    def pump(self) -> None:
        """Hear what can be heard now, and end where everything was said."""
        self._look(self._edge.now)
        conversation = self._conversation
        if conversation is None or self._over:
            return
        try:
            self._hear(conversation)
        except ServingError as error:
            self.fail(error)
        except Exception:
            log.exception("a message of a stream could not be heard")
            self.fail(ModelFailed("the gateway failed on this request; its log says why"))
        if not self._waiting:
            self._absorb()
        # Where no more may be heard in this turn, or a message is being inflated, a later one decides.
        if self._over or self._inflating or not self._hearable or not conversation.idle:
            return
        if self.complete and not self._waiting and not conversation.endless:
            self.end(None)
        elif self._draining:
            self.fail(NotReady("this worker stops; another one takes new streams"))

    def say(self, frame: Frame) -> None:
        """Send a message with its prefix, which is counted until the client has taken it."""
        if self._over:
            return
        size = frame_size(frame)
        self.count(size)
        self._untaken.add(size, self._edge.now)
        self._begin()
        self._line.send(self.stream_id, frame)

    def fail(self, error: ServingError) -> None:
        """End the call with an error."""
        if not self._over:
            self._edge.observer.refused("", error.reason, self.head.context)
            self.end(refusal_of(error))

    def end(self, refusal: Refusal | None) -> None:
        """End the call, well where there is no refusal."""
        if self._over:
            return
        self._over = True
        if refusal is None:
            self._begin()
            self._line.finish(self.stream_id, ended(), complete=self.complete)
        elif self._begun:
            self._line.finish(self.stream_id, trailers(refusal), complete=self.complete)
        else:
            self._line.refuse(self.stream_id, refusal, complete=self.complete)
        self._leave()
        # What was said may wait for a slow client; what was heard is of no more use.
        self.release(self.held - self._untaken.total)

    def closed(self) -> None:
        """The stream is over: rows do not run if they have not started, and nothing is held."""
        self._over = True
        self._leave()
        self._untaken = Untaken()
        self.release(self.held)

    def sweep(self, now: float, spent_s: float) -> bool:
        """Let the conversation look at the time; False where the client takes what was said too slowly.

        A stream may be silent for as long as it likes between its messages, but not within one. `spent_s` as in
        `UnaryCall.sweep`.
        """
        self._look(now)
        if self._untaken.too_slow(now, spent_s, self._edge.limits):
            return False
        self._time_message(now)
        if self._conversation is not None and not self._over:
            self._conversation.sweep()
        return True

    def drain(self) -> None:
        """The worker stops: end as soon as nothing is owed."""
        self._draining = True
        self.pump()

    def claim(self, size: int) -> None:
        """Count a message's bytes; raises Overloaded."""
        self._edge.take(size)
        self.held += size

    def count(self, size: int) -> None:
        """Count what is held now, whether or not there is room for it."""
        self.held += size
        self._edge.budget.used += size

    def release(self, size: int) -> None:
        """A message's bytes are held no more."""
        self.held -= size
        self._edge.budget.used -= size

    def _hear(self, conversation: Conversation) -> None:
        waiting = self._waiting
        while waiting and self._hearable and not (self._inflating or conversation.full):
            if self._line.queued(self.stream_id) >= _MOST_QUEUED:
                return
            self._hearable -= 1
            if not self._hearable:
                asyncio.get_running_loop().call_soon(self._next_turn)
            message = waiting.popleft()
            if isinstance(message, Buffer):
                conversation.hears(message)
            elif not self._inflated_at_once(message):
                return

    def _inflated_at_once(self, steps: Inflating) -> bool:
        """Put what is inflated in its place; False where that takes turns, and all behind it waits."""
        try:
            next(steps)
        except StopIteration as whole:
            self._waiting.appendleft(whole.value)
            return True
        self._inflating = True
        self._edge.turns.add(in_turns(steps, self._inflated), self.fail, lambda: self._over)
        return False

    def _inflated(self, message: Buffer) -> None:
        self._inflating = False
        self._waiting.appendleft(message)
        self.pump()

    def _next_turn(self) -> None:
        self._hearable = _MOST_HEARD
        self.pump()

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._line.begin(self.stream_id, begun(list(self.head.extra)))

    def _time_message(self, now: float) -> None:
        """End the call where a part of a message has waited too long for the rest."""
        limits = self._edge.limits
        part = self._reader.partial if self._reader is not None else 0
        if self._waiting or self._inflating:
            # Its client may be held up by us.
            self._arriving_since = now
        elif part and now - self._arriving_since > limits.body_allowed_s(part):
            self.fail(DeadlineExceeded(f"a message of the stream did not arrive within {limits.body_s:g} s"))

    def _look(self, now: float) -> None:
        """What the client has taken is held no more."""
        if self._untaken.total:
            self.release(self._untaken.look(self._line.queued(self.stream_id), now))

    def _absorb(self) -> None:
        if self._withheld:
            size, self._withheld = self._withheld, 0
            self._line.absorb(self.stream_id, size)

    def _leave(self) -> None:
        self._waiting.clear()
        self._reader = None
        self._absorb()
        conversation, self._conversation = self._conversation, None
        if conversation is not None:
            conversation.left()
