"""Where a rollout stands, and what a verdict or a person's order makes of it: one table, and no clock of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from serving.errors import BadRequest
from serving.rollouts.plan import Plan
from serving.rollouts.stratum import WHOLE_BP
from serving.rollouts.verdict import Action, Verdict


class Phase(StrEnum):
    """The last three are ends: nothing follows them."""

    SHADOW = "shadow"
    STEP = "step"
    PAUSED = "paused"
    AWAITING_APPROVAL = "awaiting_approval"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    ABORTED = "aborted"


class Order(StrEnum):
    """What a person can say."""

    PROMOTE = "promote"
    PROMOTE_FULL = "promote_full"
    PAUSE = "pause"
    RESUME = "resume"
    ABORT = "abort"
    FREEZE = "freeze"
    UNFREEZE = "unfreeze"


@dataclass(frozen=True, slots=True)
class Standing:
    """`since_s` is when this phase of this step began; `reason` is why, in the words of whoever decided.

    `accepted` are gates because of which it was paused and that a person then resumed in spite of. Frozen, nothing but
    a person's order changes anything. `shadow` tells of a pause that it came in the shadow stage.
    """

    phase: Phase
    step: int
    since_s: float
    reason: str = ""
    paused_by: str = ""
    accepted: frozenset[str] = frozenset()
    frozen: bool = False
    shadow: bool = False

    @property
    def shadowing(self) -> bool:
        """Copies go to the canary, and nothing else does."""
        return self.phase is Phase.SHADOW or (self.phase is Phase.PAUSED and self.shadow)

    @property
    def judged_step(self) -> int:
        """The step whose weight holds: one that waits for approval has not begun."""
        return max(0, self.step - 1) if self.phase is Phase.AWAITING_APPROVAL else self.step

    @property
    def over(self) -> bool:
        """Whether nothing follows."""
        return self.phase in _ENDS


_ENDS = frozenset({Phase.PROMOTED, Phase.ROLLED_BACK, Phase.ABORTED})
_Change = Callable[[Standing, Plan, float], Standing]


def start(plan: Plan, now_s: float) -> Standing:
    """The first standing: the shadow stage where there is one."""
    if plan.shadow is not None:
        return Standing(Phase.SHADOW, 0, now_s)
    return _begin(Standing(Phase.SHADOW, 0, now_s), plan, now_s, 0)


def weight_bp(standing: Standing, plan: Plan) -> int:
    """The canary's share: never more than that of the step, whatever else happens."""
    match standing.phase:
        case Phase.PROMOTED:
            return WHOLE_BP
        case Phase.SHADOW | Phase.ROLLED_BACK | Phase.ABORTED:
            return 0
        case Phase.AWAITING_APPROVAL if standing.step == 0:
            return 0
        case Phase.PAUSED if standing.shadow:
            return 0
        case _:
            return plan.steps[standing.judged_step].weight_bp


def after_verdict(standing: Standing, plan: Plan, verdict: Verdict, now_s: float) -> Standing:
    """What the controller does at a look; where the table has nothing to say, all stays as it is."""
    change = _VERDICTS.get((standing.phase, verdict.action))
    if change is None or standing.frozen:
        return standing
    changed = change(standing, plan, now_s)
    return replace(changed, reason=verdict.sentence, paused_by=verdict.gate if changed.phase is Phase.PAUSED else "")


def after_order(standing: Standing, plan: Plan, order: Order, now_s: float) -> Standing:
    """What a person's order makes of it.

    Raises:
        BadRequest: it makes no sense where the rollout stands.
    """
    change = _ORDERS.get((standing.phase, order))
    if change is None:
        possible = sorted(known for phase, known in _ORDERS if phase is standing.phase)
        what = f"what is possible: {', '.join(possible)}" if possible else "nothing follows that"
        raise BadRequest(f"the rollout is {standing.phase.replace('_', ' ')}, so {order} does nothing; {what}")
    return change(standing, plan, now_s)


def _begin(standing: Standing, plan: Plan, now_s: float, step: int) -> Standing:
    phase = Phase.AWAITING_APPROVAL if plan.steps[step].approval else Phase.STEP
    return replace(standing, phase=phase, step=step, since_s=now_s, reason="", paused_by="", shadow=False)


def _first(standing: Standing, plan: Plan, now_s: float) -> Standing:
    return _begin(standing, plan, now_s, 0)


def _next(standing: Standing, plan: Plan, now_s: float) -> Standing:
    if standing.shadow:
        return _first(standing, plan, now_s)
    if standing.step == len(plan.steps) - 1:
        return _promote(standing, plan, now_s)
    return _begin(standing, plan, now_s, standing.step + 1)


def _approve(standing: Standing, _plan: Plan, now_s: float) -> Standing:
    return replace(standing, phase=Phase.STEP, since_s=now_s, reason="approved")


def _pause(standing: Standing, _plan: Plan, now_s: float) -> Standing:
    shadow = standing.phase is Phase.SHADOW
    return replace(standing, phase=Phase.PAUSED, since_s=now_s, reason="paused", paused_by="", shadow=shadow)


def _resume(standing: Standing, _plan: Plan, now_s: float) -> Standing:
    """The step's time begins anew; its evidence does not."""
    accepted = standing.accepted | {standing.paused_by} if standing.paused_by else standing.accepted
    phase = Phase.SHADOW if standing.shadow else Phase.STEP
    resumed = replace(standing, phase=phase, since_s=now_s, reason="resumed", paused_by="", shadow=False)
    return replace(resumed, accepted=frozenset(accepted))


def _promote(standing: Standing, _plan: Plan, now_s: float) -> Standing:
    return replace(standing, phase=Phase.PROMOTED, since_s=now_s, reason="promoted", paused_by="")


def _roll_back(standing: Standing, _plan: Plan, now_s: float) -> Standing:
    return replace(standing, phase=Phase.ROLLED_BACK, since_s=now_s, paused_by="")


def _abort(standing: Standing, _plan: Plan, now_s: float) -> Standing:
    return replace(standing, phase=Phase.ABORTED, since_s=now_s, reason="aborted", paused_by="")


def _freeze(standing: Standing, _plan: Plan, _now_s: float) -> Standing:
    return replace(standing, frozen=True)


def _unfreeze(standing: Standing, _plan: Plan, now_s: float) -> Standing:
    # The step's time begins anew: nobody looked meanwhile.
    return replace(standing, frozen=False, since_s=now_s)


_LIVE = (Phase.SHADOW, Phase.STEP, Phase.PAUSED, Phase.AWAITING_APPROVAL)
_VERDICTS: dict[tuple[Phase, Action], _Change] = {
    **{(phase, Action.ROLLBACK): _roll_back for phase in _LIVE},
    (Phase.SHADOW, Action.ADVANCE): _first,
    (Phase.STEP, Action.ADVANCE): _next,
    (Phase.STEP, Action.PAUSE): _pause,
    (Phase.SHADOW, Action.PAUSE): _pause,
}
_ORDERS: dict[tuple[Phase, Order], _Change] = {
    **{(phase, Order.PROMOTE_FULL): _promote for phase in _LIVE},
    **{(phase, Order.ABORT): _abort for phase in _LIVE},
    **{(phase, Order.FREEZE): _freeze for phase in _LIVE},
    **{(phase, Order.UNFREEZE): _unfreeze for phase in _LIVE},
    (Phase.SHADOW, Order.PROMOTE): _first,
    (Phase.STEP, Order.PROMOTE): _next,
    (Phase.PAUSED, Order.PROMOTE): _next,
    (Phase.AWAITING_APPROVAL, Order.PROMOTE): _approve,
    (Phase.AWAITING_APPROVAL, Order.RESUME): _approve,
    (Phase.STEP, Order.PAUSE): _pause,
    (Phase.SHADOW, Order.PAUSE): _pause,
    (Phase.PAUSED, Order.RESUME): _resume,
}
