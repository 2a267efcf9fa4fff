"""Every bound and time-out of the HTTP edge, in one place."""

from __future__ import annotations

from dataclasses import dataclass

MB = 1 << 20


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """What one worker grants to connections, requests and slow clients; sizes are per connection unless said otherwise.

    Time-outs are checked by one sweep of all connections every `sweep_s`, so they fire at most two sweeps late.
    """

    max_head_bytes: int = 32 * 1024
    max_headers: int = 100
    max_url_bytes: int = 8192
    max_body_mb: float = 64
    max_json_mb: float = 8
    # JSON over this many bytes is decoded in another process: 4 MB of JSON hold the loop for 18 ms.
    inline_json_mb: float = 1
    # Smaller answers are not compressed: 32 KB take 0.3 ms, in which a network of 1 Gbit/s carries them as they are.
    compress_min_kb: float = 32
    # Of one request: inputs or outputs named, dimensions and elements of a tensor, elements of a BYTES tensor, and the
    # bytes of one of those. A string costs the model's side about 60 bytes however short it is.
    max_tensors: int = 256
    max_rank: int = 32
    max_elements: int = 64 * MB
    max_strings: int = MB
    max_string_bytes: int = 16 * MB
    max_pipelined: int = 64
    # Bytes of a refused body that are read and dropped, so that the answer reaches a client that sends first.
    max_discard_mb: float = 128
    head_s: float = 10.0
    # A body may take this long, and a second more for every `min_body_kb_s` that arrived.
    body_s: float = 30.0
    min_body_kb_s: float = 64
    idle_s: float = 75.0
    # A reader must take `write_progress_kb` (or all there is) in this time; TCP_USER_TIMEOUT is set to it as well.
    write_stall_s: float = 30.0
    write_progress_kb: int = 64
    # While it does not keep up, this time must suffice for what waits, and a second more for every `min_read_kb_s`.
    min_read_kb_s: float = 64
    # How long a connection that was answered for the last time may take to be closed by its client.
    linger_s: float = 5.0
    sweep_s: float = 0.25
    # Of one worker: bytes of request bodies and of answers that have not left yet.
    in_flight_mb: float = 512
    max_connections: int = 10_000
    # Predictions of one worker that are not answered yet; beyond it they are refused before their bodies are read.
    max_requests: int = 20_000
    drain_grace_s: float = 10.0
    # Large JSON documents that may wait for the decoding process, and how long one may take there.
    max_oversize_waiting: int = 8
    oversize_s: float = 20.0

    @property
    def max_body_bytes(self) -> int:
        """`max_body_mb` in bytes."""
        return int(self.max_body_mb * MB)

    @property
    def max_json_bytes(self) -> int:
        """`max_json_mb` in bytes."""
        return int(self.max_json_mb * MB)

    @property
    def compress_min_bytes(self) -> int:
        """`compress_min_kb` in bytes."""
        return int(self.compress_min_kb * 1024)

    @property
    def inline_json_bytes(self) -> int:
        """`inline_json_mb` in bytes."""
        return int(self.inline_json_mb * MB)

    @property
    def max_discard_bytes(self) -> int:
        """`max_discard_mb` in bytes."""
        return int(self.max_discard_mb * MB)

    @property
    def in_flight_bytes(self) -> int:
        """`in_flight_mb` in bytes."""
        return int(self.in_flight_mb * MB)

    def body_allowed_s(self, received: int) -> float:
        """How long a body may take of which `received` bytes have arrived."""
        return self.body_s + received / (self.min_body_kb_s * 1024)

    def read_allowed_s(self, taken: int) -> float:
        """How long a reader that does not keep up may take for the first `taken` bytes."""
        return self.write_stall_s + taken / (self.min_read_kb_s * 1024)
