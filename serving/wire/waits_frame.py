"""What a gateway tells a replica of those who wait: a PING with a payload.

The payload is `u32 microseconds that rows wait · u32 microseconds that they may · u32 microseconds of the goal · u32
rows`. It is the payload of a PING since a replica that knows nothing of it answers that all the same; one without a
payload comes from a gateway that tells nothing, and of a longer one the rest is left alone.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from serving.wire.frame import PING, Frame, encode

_WAITS = Struct("<IIII")
_MOST = 2**32 - 1


class Waits(NamedTuple):
    """Of the version of a pool whose rows are worst off: how long they wait, how long they may, and the latency goal.

    `may_s` is what is left of the goal beside a run. `rows` wait in all versions together. All 0 where nobody waits.
    """

    wait_s: float = 0.0
    may_s: float = 0.0
    goal_s: float = 0.0
    rows: int = 0

    @property
    def pressure(self) -> float:
        """The share of what they may wait that they do wait; 1 is the most that keeps the goal."""
        return self.wait_s / self.may_s if self.may_s > 0.0 else 0.0


def encode_waits(waits: Waits) -> bytes:
    """One whole frame."""
    times = [min(max(round(seconds * 1e6), 0), _MOST) for seconds in (waits.wait_s, waits.may_s, waits.goal_s)]
    return encode(PING, _WAITS.pack(*times, min(waits.rows, _MOST)))


def decode_waits(frame: Frame) -> Waits | None:
    """What a PING tells; None where it only asks whether somebody is there."""
    if frame.stop - frame.start < _WAITS.size:
        return None
    wait_us, may_us, goal_us, rows = _WAITS.unpack_from(frame.data, frame.start)
    return Waits(wait_us / 1e6, may_us / 1e6, goal_us / 1e6, rows)
