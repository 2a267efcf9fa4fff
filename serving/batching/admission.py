"""Whether a request can be answered in time, judged when it arrives: what cannot is refused before it costs anything.

The rule of Clockwork (Gujarati et al., OSDI 2020, section 4): with run times that are known in advance, a request that
would be late is better refused at once, while its caller can still do something else, than run for nobody.
"""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from serving.batching.latency_model import Estimate


class Ahead(NamedTuple):
    """What a request finds: `running_s` seconds until a slot is free, and `rows` of its own queue that go first.

    `batch_rows` run together, on `servers` at the same time. `others_s` are estimated seconds of work of other versions
    that share them, which at most take turns with it. `lag_s` is how far the gateway itself is behind. `drained_s` are
    the seconds in which so many rows have been seen to leave the queue, whatever the runs alone would take. Meanwhile
    `coming_per_s` more come each second, and run with it.
    """

    running_s: float
    rows: int
    batch_rows: int
    servers: int = 1
    others_s: float = 0.0
    lag_s: float = 0.0
    drained_s: float = 0.0
    coming_per_s: float = 0.0


def finish_s(ahead: Ahead, estimate: Estimate, rows: int) -> float:
    """Seconds until a request of so many rows that arrives now is answered, were it accepted.

    Batches run full, the last of them with its own rows and those that come before it begins, and 99 of 100 times no
    slower than this: so that what is accepted is answered in time, not half of it.
    """
    together = ahead.rows + rows
    batches = ceil(together / ahead.batch_rows)
    # Full batches share the servers; the batch with its own last row then runs by itself.
    queued_s = (estimate.fixed_s * (batches - 1) + estimate.row_s * max(together - ahead.batch_rows, 0)) / ahead.servers
    alone_s = estimate.late_s(min(together, ahead.batch_rows))
    waits_s = ahead.running_s + queued_s + min(ahead.others_s / ahead.servers, queued_s + alone_s)
    waits_s = max(waits_s, ahead.drained_s)
    # Its own batch takes along who comes until it begins.
    last_s = estimate.late_s(min(together + ahead.coming_per_s * waits_s, ahead.batch_rows))
    return ahead.lag_s + waits_s + last_s
