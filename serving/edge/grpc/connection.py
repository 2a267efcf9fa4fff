"""One client connection: HTTP/2 frames to calls and back, each call on a stream of its own.

Uses nothing but asyncio's Transport, so that TLS fits later. libnghttp2 (by ngh2) keeps HTTP/2's rules: frames, header
compression, flow control, and the bounds on floods of pings, resets and continuations.
"""

from __future__ import annotations

import asyncio
import logging
from typing import cast

from ngh2 import (
    ConnectionClosed,
    DataReceived,
    Event,
    NGH2Error,
    PingAcknowledged,
    RequestReceived,
    SettingsReceived,
    StreamClosed,
    TrailersReceived,
)

from serving.edge.grpc.answers import HeaderList, Refusal, refused, spoken_to_http1
from serving.edge.grpc.call import UnaryCall
from serving.edge.grpc.call_head import too_much, understand
from serving.edge.grpc.edge import GrpcEdge
from serving.edge.grpc.http2 import http2_server
from serving.edge.grpc.methods import METHODS
from serving.edge.grpc.outgoing import Frame, Outgoing
from serving.edge.grpc.status import Code
from serving.edge.grpc.stream_call import StreamCall
from serving.edge.grpc.unheard import Unheard

log = logging.getLogger(__name__)

Call = UnaryCall | StreamCall

_PREFACE = b"PRI * HTTP/2.0"
# Given to the transport at once; more waits in HTTP/2's queue while a client is slow.
_PIECE = 1 << 18
# What a goodbye is followed by: whoever answers it has read that, and begins no call any more.
_HEARD = b"goodbye?"
_NO_ERROR = 0
_CANCEL = 8
_ENHANCE_YOUR_CALM = 11


class Connection(asyncio.Protocol):
    """Streams and flow of one connection.

    `_cut` are streams that were answered before their client had sent everything: it is told to stop, after the answer.
    `_corked` says that bytes are being read, so what is to be written leaves together at the end of it.
    """

    __slots__ = (
        "_began_at",
        "_begun",
        "_calls",
        "_corked",
        "_cut",
        "_edge",
        "_ended",
        "_flushing",
        "_goodbye",
        "_goodbye_at",
        "_http2",
        "_outgoing",
        "_paused",
        "_since",
        "_streams",
        "_swept_at",
        "_transport",
        "_unheard",
        "_used",
    )

    def __init__(self, edge: GrpcEdge) -> None:
        self._edge = edge
        self._transport: asyncio.Transport | None = None
        self._http2 = http2_server(edge.limits)
        self._outgoing = Outgoing(self._http2)
        self._calls: dict[int, Call] = {}
        self._streams: dict[int, StreamCall] = {}
        self._cut: list[int] = []
        self._corked = False
        self._flushing = False
        self._paused = False
        self._ended = False
        self._goodbye = False
        self._goodbye_at = 0.0
        self._begun = False
        self._used = False
        self._began_at = self._since = self._swept_at = edge.now
        self._unheard = Unheard()

    # --- what the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self._transport = cast("asyncio.Transport", transport)
        # Nothing is said before the client has: it may be one of HTTP/1, which would not understand.
        if not self._edge.admit(self):
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Both directions are gone: nobody waits for what is still in flight."""
        del exc
        self._transport = None
        calls, self._calls = self._calls, {}
        self._streams.clear()
        for call in calls.values():
            call.closed()
        self._edge.gone(self)

    def data_received(self, data: bytes) -> None:
        """Bytes arrived; answers that are ready at once leave together."""
        if not self._begun and not self._speaks_http2(data):
            return
        self._corked = True
        try:
            self._http2.receive_data(data)
            events = self._http2.events()
            self._unheard.arrived(self._edge.now, heard=bool(events))
            self._hear(events)
        except NGH2Error as error:
            log.debug("a connection broke HTTP/2's rules: %s", error)
            self.abort()
            return
        finally:
            self._corked = False
        self._flush()

    def pause_writing(self) -> None:
        """The client does not take its answers: read nothing until it does."""
        self._paused = True
        self._since = self._edge.now
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The client has taken what was written."""
        self._paused = False
        self._since = self._edge.now
        self._unheard.held_up(self._since)
        if self._transport is not None:
            self._transport.resume_reading()
        self._soon()

    # --- what a call calls

    def respond(self, stream_id: int, headers: HeaderList, frame: Frame, trailers: HeaderList) -> None:
        """Send a whole response with one message."""
        self._outgoing.respond(stream_id, headers, frame, trailers)
        self._soon()

    def begin(self, stream_id: int, headers: HeaderList) -> None:
        """Send what begins a response."""
        self._outgoing.begin(stream_id, headers)
        self._soon()

    def send(self, stream_id: int, frame: Frame) -> None:
        """Send a message with its prefix."""
        self._outgoing.send(stream_id, frame)
        self._soon()

    def finish(self, stream_id: int, trailers: HeaderList, *, complete: bool) -> None:
        """Send what ends a response; `complete` as in `refuse`."""
        self._outgoing.finish(stream_id, trailers)
        if not complete:
            self._cut.append(stream_id)
        self._soon()

    def refuse(self, stream_id: int, refusal: Refusal, *, complete: bool) -> None:
        """Send a response that is nothing but an error; `complete` says that the client has sent all it had."""
        self._outgoing.begin(stream_id, refused(refusal), end=True)
        if not complete:
            self._cut.append(stream_id)
        self._soon()

    def absorb(self, stream_id: int, size: int) -> None:
        """So many received bytes were taken: the client may send as many more."""
        self._http2.acknowledge_received_data(size, stream_id)
        self._soon()

    def queued(self, stream_id: int) -> int:
        """Bytes of messages that the client has not taken yet."""
        return self._outgoing.queued(stream_id)

    # --- what the server calls

    def sweep(self, now: float) -> None:
        """End what has waited too long."""
        limits = self._edge.limits
        if self._transport is None or self._transport.is_closing():
            return
        if self._paused and now - self._since > limits.write_stall_s:
            self.abort()
            return
        if not self._paused and self._unheard.too_long(now, limits.head_s, self._http2.ping):
            self._break_off(self._transport)
            return
        spent_s, self._swept_at = now - self._swept_at, now
        # They share what the client takes: one alone is not slow because it takes all of them in turn.
        waiting = sum(1 for stream_id in self._calls if self.queued(stream_id))
        for stream_id, call in list(self._calls.items()):
            if not call.sweep(now, spent_s / (waiting or 1)):
                self._http2.reset_stream(stream_id, _CANCEL)
        if self._goodbye:
            # A goodbye may have been said just before this sweep, and its client has not heard it then.
            if now - self._goodbye_at >= limits.goodbye_s:
                self.take_no_more()
        elif self._worn_out(now):
            self.say_goodbye()
        if not self._transport.is_closing():
            self._flush()

    @property
    def idle_since(self) -> float | None:
        """Since when no call is on it, in monotonic seconds; None where one is."""
        return None if self._calls or self._goodbye else self._since

    def close_if_idle(self) -> bool:
        """Close where no call is on the connection."""
        if self._calls:
            return False
        self.say_goodbye()
        return True

    def say_goodbye(self) -> None:
        """Tell the client to take another connection for its next calls; those on their way are still taken."""
        if self._goodbye or self._ended:
            return
        self._goodbye = True
        self._goodbye_at = self._edge.clock()
        if self._used:
            self._http2.send_shutdown_notice()
            self._http2.ping(_HEARD)
            self._flush()
        else:
            self.abort()

    def take_no_more(self) -> None:
        """Calls that begin from now on are refused, and their clients know that they were not begun."""
        if self._ended or self._transport is None:
            return
        self._name_the_last()
        self._flush()

    def abort(self) -> None:
        """Close now; what is in flight is dropped."""
        if self._transport is not None:
            self._transport.abort()

    # --- inside

    def _name_the_last(self) -> None:
        self._ended = True
        self._http2.send_goaway(_NO_ERROR)
        for call in list(self._streams.values()):
            call.drain()

    def _break_off(self, transport: asyncio.Transport) -> None:
        """Close for what the client does not end, and say so."""
        log.debug("a connection does not end a frame, or the metadata of a call")
        self._ended = True
        self._http2.terminate_connection(_ENHANCE_YOUR_CALM)
        self._write()
        transport.close()

    def _worn_out(self, now: float) -> bool:
        """Idle for too long, or too old."""
        limits = self._edge.limits
        idle_s = limits.idle_s if self._used else limits.head_s
        if not self._calls and now - self._since > idle_s:
            return True
        return limits.max_age_s is not None and now - self._began_at > limits.max_age_s

    def _speaks_http2(self, data: bytes) -> bool:
        """A browser or curl is told where it is; nothing else of HTTP/1 is."""
        self._begun = True
        if data.startswith(_PREFACE[: len(data)]):
            return True
        if self._transport is not None:
            self._transport.write(spoken_to_http1())
            self._transport.close()
        return False

    def _hear(self, events: list[Event]) -> None:
        calls = self._calls
        http2 = self._http2
        for event in events:
            if isinstance(event, DataReceived):
                stream_id, data = event.stream_id, event.data
                call = calls.get(stream_id)
                size = len(data)
                if call is not None:
                    size -= call.receive(data, event.end_stream)
                if size:
                    http2.acknowledge_received_data(size, stream_id)
            elif isinstance(event, RequestReceived):
                self._begin_call(event)
            elif isinstance(event, StreamClosed):
                self._call_closed(event.stream_id)
            else:
                self._hear_other(event)

    def _hear_other(self, event: Event) -> None:
        if isinstance(event, SettingsReceived):
            self._used = True
        elif isinstance(event, ConnectionClosed):
            self._ended = True
        elif isinstance(event, PingAcknowledged):
            if event.opaque_data == _HEARD and not self._ended:
                # It left with the goodbye, so all that came before it is known: nobody's call is refused.
                self._name_the_last()
        elif isinstance(event, TrailersReceived) and event.stream_id in self._calls:
            self._calls[event.stream_id].receive(b"", True)  # noqa: FBT003 - see UnaryCall.receive

    def _begin_call(self, event: RequestReceived) -> None:
        stream_id = event.stream_id
        head = understand(event.headers)
        method = METHODS.get(head.path)
        refusal = head.refusal or too_much(head, self._edge.limits)
        if refusal is not None or method is None:
            refusal = refusal or Refusal(Code.UNIMPLEMENTED, f"{head.path[:200]!r} is not served here", "unknown_path")
            self._edge.observer.refused("", refusal.reason, head.context)
            self.refuse(stream_id, refusal, complete=event.end_stream)
            return
        call: Call
        if method.conversation is None:
            call = UnaryCall(self, self._edge, stream_id, head, method.handler)
        else:
            call = self._streams[stream_id] = StreamCall(self, self._edge, stream_id, head)
            call.talk(method.conversation(call, self._edge))
        self._calls[stream_id] = call
        if event.end_stream:
            call.receive(b"", True)  # noqa: FBT003 - see UnaryCall.receive

    def _call_closed(self, stream_id: int) -> None:
        self._outgoing.forget(stream_id)
        call = self._calls.pop(stream_id, None)
        if call is not None:
            call.closed()
            self._streams.pop(stream_id, None)
            if not self._calls:
                self._since = self._edge.now

    def _soon(self) -> None:
        """Answers of one batch leave together: what they have in common is written once."""
        if not self._corked and not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        """Write what HTTP/2 lets go now, and close once everything was said."""
        self._flushing = False
        try:
            self._write()
            if self._cut:
                self._tell_to_stop()
            if self._streams:
                for stream in list(self._streams.values()):
                    stream.pump()
        except NGH2Error as error:
            log.debug("a connection cannot go on: %s", error)
            self.abort()
            return
        if self._ended and self._transport is not None and not self._paused:
            self._close_if_done(self._transport)

    def _tell_to_stop(self) -> None:
        """Reset what is to be cut, once all of its answer has left."""
        while not self._paused and (said := [number for number in self._cut if not self.queued(number)]):
            for stream_id in said:
                self._http2.reset_stream(stream_id, _NO_ERROR)
            # Writing may hear of further ones.
            self._cut = [number for number in self._cut if number not in said]
            self._write()

    def _write(self) -> None:
        transport, http2 = self._transport, self._http2
        while transport is not None and not self._paused:
            self._outgoing.refill()
            data = http2.data_to_send(_PIECE)
            events = http2.events()
            if data:
                transport.write(data)
            if events:
                self._hear(events)
            if len(data) < _PIECE:
                return

    def _close_if_done(self, transport: asyncio.Transport) -> None:
        if not (self._http2.want_read or self._http2.want_write):
            transport.close()
