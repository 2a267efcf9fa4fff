"""How long a row of a view may be used once it was read, as pure decisions; all times in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import NamedTuple

# Where the server tells of no writes (any more), only time does: at most this old is then a row that is used unasked.
UNHEARD_TTL_S = 1.0
# Rows that were read together do not all end together.
_SPREAD = 0.1
# XFetch's beta: above 1 refreshes come earlier.
_BETA = 1.0
# Earlier than this many costs before the end a refresh has a chance of e^-10: not worth a draw for each look-up.
_QUIET_COSTS = 10.0


@dataclass(frozen=True, slots=True)
class Lifetime:
    """Of one view: `heard` where the server is to tell of writes; `negative_ttl_s` is for ids that have no row."""

    ttl_s: float = 60.0
    stale_for_s: float = 600.0
    negative_ttl_s: float = 5.0
    heard: bool = True


class Ends(NamedTuple):
    """Until when a row is used without a draw for an early refresh, without a read, while a read refreshes it, and at
    all: where the store does not answer, and then the answer says so.
    """

    quiet: float
    fresh: float
    refreshed: float
    hard: float


def ends_of(lifetime: Lifetime, began: float, cost_s: float, draw: float, *, heard: bool) -> Ends:
    """Of a row whose read `began` then and took `cost_s`; `draw` is uniform in [0, 1), `heard` whether writes are told.

    No row is used `ttl_s + stale_for_s` after its read began, whatever the draw.
    """
    ttl_s = lifetime.ttl_s
    if lifetime.heard and not heard:
        ttl_s = min(ttl_s, UNHEARD_TTL_S)
    hard = began + lifetime.ttl_s + lifetime.stale_for_s
    spread_s = ttl_s * (1.0 + _SPREAD * (2.0 * draw - 1.0))
    fresh = min(began + spread_s, hard)
    # Served for one more life while it is read anew; a row that nobody wanted for so long is waited for.
    refreshed = min(fresh + spread_s, hard)
    return Ends(max(began, fresh - _QUIET_COSTS * _BETA * cost_s), fresh, refreshed, hard)


def negative_ends_of(lifetime: Lifetime, began: float, draw: float, *, heard: bool) -> Ends:
    """Of an id that has no row: it is used for a short time, and never once that is over."""
    ttl_s = lifetime.negative_ttl_s
    if lifetime.heard and not heard:
        ttl_s = min(ttl_s, UNHEARD_TTL_S)
    end = began + ttl_s * (1.0 - _SPREAD * draw)
    # Never quiet: look-ups of ids without a row are counted, on the slower way.
    return Ends(began, end, end, end)


def refreshed_early(now: float, fresh: float, cost_s: float, draw: float) -> bool:
    """Read the row anew before its end: the likelier the nearer that is and the longer a read takes.

    XFetch: `now - cost * beta * ln(draw) >= end`, `draw` uniform in (0, 1] (Vattani, Chierichetti, Lowenstein: Optimal
    Probabilistic Cache Stampede Prevention, VLDB 2015).
    """
    return now - cost_s * _BETA * log(draw) >= fresh
