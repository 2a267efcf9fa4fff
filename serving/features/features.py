"""What the request path knows of features: `fill` finishes a request's tensors, then hands it on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Generator, Sequence
from functools import partial

from serving.deadline import Timers
from serving.errors import ModelFailed, Overloaded, ServingError, TooLarge
from serving.features.cached_rows import CachedRows
from serving.features.entity_rows import EntityRows
from serving.features.feature_status import BUDGET, FULL, FeatureObserver
from serving.features.filling import Filled
from serving.features.plan import ROWS_A_TURN, Found, ReadPlan
from serving.features.plan_in_use import PlanInUse
from serving.features.read_budget import BudgetOptions, ReadBudgets
from serving.features.served_log.entry import Seen
from serving.features.served_log.served_log import ServedLog
from serving.features.store.feature_reader import FeatureReader
from serving.features.waiting import Then, Waiting
from serving.inference import Request, Tensor

log = logging.getLogger(__name__)

Refuse = Callable[[Request, ServingError], None]


# What is used of some keys' rows where nothing answers in time; None where nothing is.
Kept = Callable[[Collection[bytes]], Found | None]


class Features:
    """Looks up what requests need and makes their tensors; `refuse` answers a request that gets none, and counts it.

    `reader` is None where there is no features Redis: every row is then unavailable. `clock` is monotonic, `now` the
    time of day; both in seconds.
    """

    def __init__(
        self,
        reader: FeatureReader | None,
        refuse: Refuse,
        observer: FeatureObserver,
        clock: Callable[[], float],
        now: Callable[[], float],
    ) -> None:
        self._reader = reader
        self._refuse = refuse
        self._observer = observer
        self._clock = clock
        self._now = now
        # Kept, since the reader knows by it who may be told together.
        self._single_rows_found = self._fill_together
        self._counted: list[PlanInUse] = []
        self._single_rows_in_time = self._fill_those_in_time
        # None where every request waits as long as the reader does.
        self._budgets: ReadBudgets | None = None
        self._kept: Kept | None = None
        # None where nothing is logged, which is usual.
        self.served_log: ServedLog | None = None

    def keep_time(self, options: BudgetOptions, timers: Timers, kept: Kept | None = None) -> None:
        """From now on rows take a share of a request's deadline at the most; `kept` is then used where there is any.

        `timers` go by the same clock.
        """
        self._budgets = ReadBudgets(options, timers, self._over_budget)
        self._kept = kept

    def fill(self, request: Request, in_use: PlanInUse, then: Then) -> None:
        """Set `inputs`, `degraded` and `features_s`, and call `then`; or refuse. Skips a request that has left.

        Never raises; `then` may run before this returns.
        """
        rows = request.entities
        if not isinstance(rows, EntityRows):
            then(request)
        elif rows.plan is in_use.plan:
            self._fill(request, rows, in_use, then)
        else:
            # Another version's: it may want the same fields in other dtypes.
            rows.again(in_use.plan, partial(self._read_again, request, in_use, then))

    def _read_again(self, request: Request, in_use: PlanInUse, then: Then, came: EntityRows | ServingError) -> None:
        if not request.waiting:
            return
        if isinstance(came, ServingError):
            self._refuse(request, came)
            return
        if isinstance(request.entities, EntityRows):
            came.wants = request.entities.wants
            came.request_id = request.entities.request_id
        request.entities = came
        self._fill(request, came, in_use, then)

    def _fill(self, request: Request, rows: EntityRows, in_use: PlanInUse, then: Then) -> None:
        waiting = Waiting(request, rows, in_use, then, self._clock())
        if not rows.keys or self._reader is None:
            self._fill_alone(waiting, None)
        elif not self._reader.has_room(len(rows.keys)):
            self._observer.feature_read_failed(FULL)
            self._refuse(request, self._no_room(len(rows.keys)))
        elif self._budgets is not None and self._budgets.watch(waiting):
            in_time = self._single_rows_in_time if rows.count == 1 else partial(self._fill_those_in_time)
            self._reader.fetch(rows.keys, waiting, in_time)
        elif rows.count == 1 and rows.wants is None:
            self._reader.fetch(rows.keys, waiting, self._single_rows_found)
        else:
            # Told apart from all others: its rows may take a turn of the loop by themselves.
            self._reader.fetch(rows.keys, waiting, partial(self._fill_each))

    def flush(self) -> None:
        """Hand the observer what was counted since the last time."""
        for in_use in self._counted:
            for feature, counts in in_use.taken().items():
                self._observer.feature_values(in_use.key, in_use.variant, feature, counts)
        self._counted.clear()

    def _no_room(self, keys: int) -> ServingError:
        most = self._reader.most_keys if self._reader is not None else 0
        if keys > most:
            return TooLarge(f"the request reads {keys} feature rows; the limit is {most}: send fewer instances")
        return Overloaded("too many feature rows are being read; try again in a moment")

    def _fill_those_in_time(self, told: Sequence[Waiting], found: Found | None) -> None:
        if self._budgets is not None:
            self._fill_each(self._budgets.in_time(told), found)

    def _over_budget(self, waiting: Waiting) -> None:
        """Go on without the rows, which may still come, and for nobody then."""
        if waiting.request.waiting:
            self._observer.feature_read_failed(BUDGET)
            self._fill_alone(waiting, None if self._kept is None else self._kept(waiting.rows.keys))

    def _fill_together(self, told: Sequence[Waiting], found: Found | None) -> None:
        """Requests of one row each: those of the same plan at once, where nothing is missing."""
        groups: dict[ReadPlan, list[Waiting]] = {}
        for waiting in told:
            if waiting.request.waiting:
                groups.setdefault(waiting.rows.plan, []).append(waiting)
        now_ms = int(self._now() * 1000)
        told_of = isinstance(found, CachedRows) and bool(found.outdated)
        for plan, group in groups.items():
            tensors = None
            if found is not None and not told_of:
                tensors = plan.whole_rows.tensors([one.rows for one in group], found, now_ms)
            if tensors is None:
                self._fill_each(group, found)
                continue
            for waiting, inputs in zip(group, tensors, strict=True):
                if self.served_log is not None:
                    self.served_log.seen(waiting.request, Seen(waiting.rows, found, now_ms, inputs))
                self._done(waiting, inputs, "")

    def _fill_each(self, told: Sequence[Waiting], found: Found | None) -> None:
        for waiting in told:
            self._fill_alone(waiting, found)

    def _fill_alone(self, waiting: Waiting, found: Found | None) -> None:
        request, rows = waiting.request, waiting.rows
        if not request.waiting:
            return
        now_ms = int(self._now() * 1000)
        if rows.count > ROWS_A_TURN:
            done = partial(self._explained, waiting, found, now_ms)
            self._go_on(request, done, rows.plan.gradually(rows, found, now_ms))
            return
        try:
            filled = rows.plan.tensors(rows, found, now_ms)
        except Exception as error:  # noqa: BLE001 - told apart and logged there
            self._failed(request, error)
        else:
            self._explained(waiting, found, now_ms, filled)

    def _go_on(self, request: Request, done: Callable[[Filled], None], filling: Generator[None, None, Filled]) -> None:
        """Fill some rows more of a large request, then let the loop turn."""
        if not request.waiting:
            return
        try:
            next(filling)
        except StopIteration as finished:
            done(finished.value)
        except Exception as error:  # noqa: BLE001 - told apart and logged there
            self._failed(request, error)
        else:
            asyncio.get_running_loop().call_soon(self._go_on, request, done, filling)

    def _failed(self, request: Request, error: Exception) -> None:
        if not isinstance(error, ServingError):
            # A defect of ours must not strand the other requests of the same read.
            log.error("the feature rows of model %s could not be filled in", request.model, exc_info=error)
            error = ModelFailed("the gateway failed on these feature rows; its log says why")
        self._refuse(request, error)

    def _explained(self, waiting: Waiting, found: Found | None, now_ms: int, filled: Filled) -> None:
        """What the caller asked to be told of its values is there before its request goes on."""
        rows = waiting.rows
        if filled.gaps:
            waiting.in_use.count(filled.gaps)
        if filled.refusal is not None:
            self._took(waiting.in_use, rows.count)
            self._refuse(waiting.request, filled.refusal)
            return
        if rows.wants is not None:
            rows.told = rows.plan.explanation.told(rows, found, now_ms, filled.tensors)
        if self.served_log is not None:
            self.served_log.seen(waiting.request, Seen(rows, found, now_ms, filled.tensors))
        self._done(waiting, filled.tensors, filled.degraded)

    def _took(self, in_use: PlanInUse, rows: int) -> None:
        if not in_use.rows:
            self._counted.append(in_use)
        in_use.rows += rows

    def _done(self, waiting: Waiting, inputs: list[Tensor], degraded: str) -> None:
        request, rows, in_use, then, began = waiting
        self._took(in_use, rows.count)
        request.inputs = inputs
        request.degraded = degraded
        request.features_s = self._clock() - began
        try:
            then(request)
        except Exception as error:  # noqa: BLE001 - logged there; the others of the same read go on
            self._failed(request, error)
