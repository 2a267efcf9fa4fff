"""What a connection's calls say, on its way to HTTP/2's queues: at once, or a large message piece by piece."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence

from ngh2 import Connection as Http2
from ngh2 import NGH2Error

from serving.edge.grpc.answers import HeaderList
from serving.inference import Buffer

log = logging.getLogger(__name__)

# A message with its prefix; a large one in pieces, since to join 60 MB holds the loop for 25 ms.
Frame = bytes | Sequence[Buffer]

# HTTP/2 copies what is not bytes: this much takes 0.1 ms.
_PIECE = 1 << 18


def frame_size(frame: Frame) -> int:
    """Its bytes."""
    return len(frame) if isinstance(frame, bytes) else sum(map(len, frame))


class _Rest:
    """What a stream has still to be given; `trailers` end it."""

    __slots__ = ("pieces", "size", "trailers")

    def __init__(self) -> None:
        self.pieces: deque[Buffer] = deque()
        self.size = 0
        self.trailers: HeaderList | None = None

    def add(self, frame: Frame) -> None:
        """Another message."""
        self.pieces.extend((frame,) if isinstance(frame, bytes) else frame)
        self.size += frame_size(frame)

    def next(self) -> Buffer:
        """The next piece."""
        piece = self.pieces.popleft()
        if len(piece) > _PIECE:
            view = memoryview(piece)
            self.pieces.appendleft(view[_PIECE:])
            piece = view[:_PIECE]
        self.size -= len(piece)
        return piece


class Outgoing:
    """All streams of one connection.

    What cannot be sent has no stream any more: the client reset it in what was read just now, and nobody waits for it.
    """

    __slots__ = ("_http2", "_rests")

    def __init__(self, http2: Http2) -> None:
        self._http2 = http2
        self._rests: dict[int, _Rest] = {}

    def respond(self, stream_id: int, headers: HeaderList, frame: Frame, trailers: HeaderList) -> None:
        """A whole response with one message."""
        http2 = self._http2
        try:
            http2.send_response(stream_id, headers)
            if type(frame) is bytes:
                http2.send_data(stream_id, frame)
                http2.send_trailers(stream_id, trailers)
                return
        except NGH2Error as error:
            _unsent(error)
            return
        rest = self._rests[stream_id] = _Rest()
        rest.add(frame)
        rest.trailers = trailers

    def begin(self, stream_id: int, headers: HeaderList, *, end: bool = False) -> None:
        """What begins a response, or is all of it."""
        try:
            self._http2.send_response(stream_id, headers, end_stream=end)
        except NGH2Error as error:
            _unsent(error)

    def send(self, stream_id: int, frame: Frame) -> None:
        """A message, behind those before it."""
        rest = self._rests.get(stream_id)
        if rest is not None or not isinstance(frame, bytes):
            rest = rest or self._rests.setdefault(stream_id, _Rest())
            rest.add(frame)
            return
        try:
            self._http2.send_data(stream_id, frame)
        except NGH2Error as error:
            _unsent(error)

    def finish(self, stream_id: int, trailers: HeaderList) -> None:
        """What ends a response, behind its messages."""
        rest = self._rests.get(stream_id)
        if rest is not None:
            rest.trailers = trailers
            return
        try:
            self._http2.send_trailers(stream_id, trailers)
        except NGH2Error as error:
            _unsent(error)

    def refill(self) -> None:
        """Give HTTP/2 as much as is written at once."""
        for stream_id, rest in list(self._rests.items()) if self._rests else ():
            try:
                while rest.pieces and self._http2.queued_body_size(stream_id) < _PIECE:
                    self._http2.send_data(stream_id, rest.next())
                if rest.pieces:
                    continue
                if rest.trailers is not None:
                    self._http2.send_trailers(stream_id, rest.trailers)
            except NGH2Error as error:
                _unsent(error)
            del self._rests[stream_id]

    def forget(self, stream_id: int) -> None:
        """The stream is over."""
        self._rests.pop(stream_id, None)

    def queued(self, stream_id: int) -> int:
        """Bytes of messages that have not left."""
        rest = self._rests.get(stream_id)
        return self._http2.queued_body_size(stream_id) + (rest.size if rest is not None else 0)


def _unsent(error: NGH2Error) -> None:
    log.debug("an answer has no stream any more: %s", error)
