"""Every bound and time-out of the gRPC edge, in one place."""

from __future__ import annotations

from dataclasses import dataclass

MB = 1 << 20


@dataclass(frozen=True, slots=True)
class GrpcLimits:
    """What one worker grants to connections, calls and slow clients; sizes are per connection unless said otherwise.

    Time-outs are checked by one sweep of all connections every `sweep_s`, so they fire at most two sweeps late.
    """

    max_message_mb: float = 64
    # Of one that comes compressed: it can become a thousand times as large, and 16 MB take 50 ms, over many turns.
    max_inflated_mb: float = 16
    # Calls in flight on one connection: clients keep what is beyond it to themselves.
    max_concurrent_streams: int = 256
    # Requests in flight on one ModelStreamInfer: beyond it the stream's flow control holds the client up.
    max_stream_in_flight: int = 64
    # Calls that a client may cancel, and ten times as many at once: beyond it the connection ends.
    max_resets_per_s: int = 1000
    max_head_bytes: int = 16 * 1024
    max_headers: int = 100
    # Of one request, the same as over HTTP.
    max_tensors: int = 256
    max_rank: int = 32
    max_elements: int = 64 * MB
    max_strings: int = MB
    max_string_bytes: int = 16 * MB
    # Whole numbers and strings in typed contents are packed one by one: 262,144 strings take 120 ms, over many turns.
    max_typed_elements: int = 256 * 1024
    # A connection must begin to speak HTTP/2 within this time, and end a frame or a call's metadata that it has begun.
    head_s: float = 10.0
    # A message may take this long to arrive, and a second more for every `min_body_kb_s` that arrived.
    body_s: float = 30.0
    min_body_kb_s: float = 64
    idle_s: float = 600.0
    # None: however old a connection is, it stays.
    max_age_s: float | None = None
    # An answer that a client does not take for this long ends its call; TCP_USER_TIMEOUT is set to it as well.
    write_stall_s: float = 30.0
    # What waits for its client has this time, and a second more for every `min_read_kb_s` that was taken; the calls of
    # a connection share the rate.
    min_read_kb_s: float = 64
    sweep_s: float = 0.25
    max_connections: int = 10_000
    drain_grace_s: float = 8.0
    # How long a client may take to say that it has heard that it is to take another connection: longer than any has no
    # processor. Who says so sooner leaves sooner; what others begin after it is theirs to repeat.
    goodbye_s: float = 3.0

    @property
    def max_message_bytes(self) -> int:
        """`max_message_mb` in bytes."""
        return int(self.max_message_mb * MB)

    @property
    def max_inflated_bytes(self) -> int:
        """`max_inflated_mb` in bytes, and never more than any message may have."""
        return int(min(self.max_inflated_mb, self.max_message_mb) * MB)

    def body_allowed_s(self, received: int) -> float:
        """How long a message may take of which `received` bytes have arrived."""
        return self.body_s + received / (self.min_body_kb_s * 1024)

    def read_allowed_s(self, taken: int) -> float:
        """How long a client may take for the first `taken` bytes of what waits for it."""
        return self.write_stall_s + taken / (self.min_read_kb_s * 1024)
