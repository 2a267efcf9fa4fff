"""What can be set on the tensor stream's server."""

from __future__ import annotations

from dataclasses import dataclass

from serving.wire.frame import DEFAULT_FRAME_BYTES


@dataclass(frozen=True, slots=True)
class WireOptions:
    """`parallel_runs` batches run at once in this process, over all connections, and as many beside them that are known
    to run for more than `long_run_s`. `tells_runs`: gateways do not know that number, and are told.

    `send_s` is how long one write to a gateway that does not read may take before its connection is closed. A gateway
    whose batch runs, or arrives, for longer than `pulse_s` is told at that interval that the replica lives. Where
    batches come one right after another, a thread looks for the next one for `look_s` before it sleeps: waking it costs
    a single caller a quarter of its latency. 0 sleeps at once.
    """

    parallel_runs: int = 1
    tells_runs: bool = False
    max_connections: int = 64
    frame_bytes: int = DEFAULT_FRAME_BYTES
    handshake_s: float = 5.0
    send_s: float = 5.0
    pulse_s: float = 0.25
    look_s: float = 0.0001
    # As in the gateway, which keeps slots apart for long batches (batching/fair_share).
    long_run_s: float = 0.002
