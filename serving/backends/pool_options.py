"""What can be set on the gateway's end of the tensor stream."""

from __future__ import annotations

from dataclasses import dataclass

from serving.wire.frame import DEFAULT_FRAME_BYTES


@dataclass(frozen=True, slots=True)
class PoolOptions:
    """Times in seconds.

    A replica runs `runs_per_replica` batches at the same time (0: as many as it says), and one more is on its way to it
    meanwhile. Of all batches `hedge_share` may be sent to a second replica where the first is late.
    A replica that owes an answer and says nothing for `silence_s` is lost: one that works says so four times a second.
    `write_bytes` may wait for a replica that reads slowly before it is given no more batches. How long rows wait for
    the pool is told to each replica every `tell_s`.
    """

    runs_per_replica: int = 1
    hedge_share: float = 0.0
    frame_bytes: int = DEFAULT_FRAME_BYTES
    write_bytes: int = 8 * 1024 * 1024
    handshake_s: float = 5.0
    silence_s: float = 3.0
    ping_s: float = 2.0
    tick_s: float = 0.25
    tell_s: float = 1.0
    first_pause_s: float = 0.05
    longest_pause_s: float = 5.0
    refused_pause_s: float = 15.0
    steady_s: float = 5.0
