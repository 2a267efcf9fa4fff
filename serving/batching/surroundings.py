"""What the queues of one worker have around them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from serving.backends.waiting import WaitNotes
from serving.batching.fair_share import Shares
from serving.batching.loop_lag import LoopLag
from serving.batching.row_queue import TotalRows
from serving.deadline import Timers
from serving.errors import ServingError
from serving.inference import Request

Refuse = Callable[[Request, ServingError], None]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a queue shares with others: the worker's clock and timers, who answers for it, its slots and the loop's lag.

    `refuse` answers a request that will not run, and counts it. `alone`: the slots are its own, and follow its own.
    `waits` is where it notes how long rows wait, for those who scale its pool; `total` counts the rows of all queues.
    """

    clock: Callable[[], float]
    refuse: Refuse
    shares: Shares
    lag: LoopLag
    timers: Timers
    alone: bool = True
    waits: WaitNotes = field(default_factory=WaitNotes)
    total: TotalRows = field(default_factory=TotalRows)
