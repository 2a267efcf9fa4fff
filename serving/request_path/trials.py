"""The trials of the table in force: to which arm a request belongs, and what is told of it there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from serving.errors import ServingError
from serving.inference import Outputs, Request
from serving.request_path.arm import Arm, Offer, Room
from serving.request_path.judged import Judged
from serving.request_path.tallies import Tally, Took
from serving.request_path.trial_scores import RowScores
from serving.routing.table import Route, RouteTable, Trial

CANARY: Final = "canary"
# How often an arm of an earlier table is asked still, once a second: what was on its way then ends by and by, and what
# hangs or takes its replica along ends last.
_ASKED_AGAIN = 60


class TrialArms:
    """Both arms of a model's trial; no named tuple, whose names are looked up once compiled, with each request."""

    __slots__ = ("canary", "stable")

    def __init__(self, canary: Arm, stable: Arm) -> None:
        self.canary = canary
        self.stable = stable

    def __iter__(self) -> Iterator[Arm]:
        return iter((self.canary, self.stable))


class Trials:
    """The trials of the table in force, and what was counted under those before it until somebody takes that.

    `now` is the time of day in seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._mirror: Offer | None = None
        self._arms: dict[str, TrialArms] = {}
        # Each with how often it is asked still.
        self._before: list[tuple[Arm, int]] = []
        # Looked at with every request: most tables have no trial.
        self.any = False

    def mirror_by(self, offer: Offer) -> None:
        """Have requests offered for copying, once they are answered, by trials that come with a shadow."""
        self._mirror = offer

    def adopt(self, table: RouteTable) -> None:
        """Follow a new table; an arm whose trial is the same goes on."""
        arms: dict[str, TrialArms] = {}
        for route in table.routes.values():
            if route.trial is not None:
                arms[route.model] = self._of(route, route.trial)
        kept = {id(arm) for both in arms.values() for arm in both}
        self._before += [(arm, _ASKED_AGAIN) for both in self._arms.values() for arm in both if id(arm) not in kept]
        self._arms = arms
        self.any = bool(arms)

    def assign(self, request: Request, variant: str) -> None:
        """The split gave the request to a variant: before anything else can become of it.

        One that is given again, under another table, is judged no more: it belongs to neither.
        """
        arms = self._arms.get(request.model)
        again, request.judged = request.judged, None
        if arms is None or again is not None or not self._counts(arms.canary):
            return
        arm = arms.canary if variant == CANARY else arms.stable
        if arm.assigned(request.key):
            request.judged = arm

    def _counts(self, arm: Arm) -> bool:
        """The warm-up of its trial is over: asked of the clock until it is, and then no more."""
        arm.counts = arm.counts or self._now() >= arm.trial.count_from_s
        return arm.counts

    def take(self) -> Iterator[Tally]:
        """What was counted since the last time."""
        arms = [arm for arm, _ in self._before] + [arm for both in self._arms.values() for arm in both]
        self._before = [(arm, again - 1) for arm, again in self._before if again]
        for arm in arms:
            tally = arm.take()
            if tally is not None:
                yield tally

    def _of(self, route: Route, trial: Trial) -> TrialArms:
        live = self._arms.get(route.model)
        if live is not None and live.canary.trial == trial:
            return live
        scores = RowScores(trial.score_output, trial.score_index, trial.score_edges) if trial.score_output else None
        room = Room()
        arms = TrialArms(Arm(trial, scores, room, canary=True), Arm(trial, scores, room, canary=False))
        if trial.shadow is not None:
            arms.stable.mirror, arms.stable.copies = self._mirror, arms.canary
        return arms


def failed(request: Request, why: ServingError) -> None:
    """Count an error for the arm that the request was assigned to, if it is of a trial."""
    arm = request.judged
    if isinstance(arm, Arm):
        arm.failed(request, why)


def stood_in(request: Request) -> None:
    """The arm that the request was assigned to could not answer it, and another version does; it counts once."""
    arm, request.judged = request.judged, None
    if isinstance(arm, Arm):
        arm.stood_in(request)


def crashed(requests: Iterable[Request], variant: str) -> None:
    """A replica went away with a batch of these, which ran as this variant."""
    for request in requests:
        arm = request.judged
        # Once for the batch; a request may be answered by another version than that of its arm.
        if isinstance(arm, Arm) and arm.canary == (variant == CANARY):
            arm.crashed()
            return


def leads(first: Request, at_s: float) -> bool:
    """A run that begins now, with this request, is evidence of its arm."""
    arm = first.judged
    return isinstance(arm, Arm) and arm.leads(first.key, at_s)


def answered(judged: Judged, outputs: Outputs, took: Took) -> None:
    """Count answers of one batch: requests that are judged, at least one."""
    for same in judged.by_arm():
        arm = same.requests[0].judged
        if isinstance(arm, Arm):
            arm.ran(same.requests[0], took, min([request.received_at for request in same.requests]))
            arm.answered(same, outputs, took.run_s)
