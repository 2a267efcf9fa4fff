"""What a server of known behaviour does with each request: a pure rule, so that the truth can be computed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Times in seconds; `every` is a number of requests, 0 is never.

    Each answer takes `fixed_s`, every `slow_every`-th `slow_s`. From `stall_after_s` on, and again every
    `stall_every_s`, nothing is answered for `stall_s`. Over `refuse_above` a second, 503. `service_s` is what the
    only worker takes for each request, in the order of arrival. `drip_every`: the answer comes in ten pieces over
    `drip_s`. `reset_every`: the connection breaks.
    """

    fixed_s: float = 0.0
    slow_every: int = 0
    slow_s: float = 0.2
    stall_every_s: float = 0.0
    stall_s: float = 2.0
    stall_after_s: float = 0.0
    refuse_above: float = 0.0
    service_s: float = 0.0
    wrong_every: int = 0
    drip_every: int = 0
    drip_s: float = 0.05
    reset_every: int = 0


@dataclass(frozen=True, slots=True)
class Fate:
    """When the answer is sent, in seconds since the server began, and what it is."""

    at: float
    status: int = 200
    wrong: bool = False
    drips: bool = False
    resets: bool = False


class Fates:
    """Decides in the order of arrival."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._number = 0
        self._free_at = 0.0
        self._allowed_at = 0.0

    def of_next(self, now: float) -> Fate:
        """What becomes of a request that arrives now."""
        be = self._behaviour
        self._number += 1
        if be.refuse_above and not self._admitted(now):
            return Fate(self._after_stall(now), status=503)
        if self._is_due(be.reset_every):
            return Fate(self._after_stall(now), resets=True)
        at = now + (be.slow_s if self._is_due(be.slow_every) else be.fixed_s)
        if be.service_s:
            self._free_at = at = max(self._free_at, now) + be.service_s
        return Fate(self._after_stall(at), wrong=self._is_due(be.wrong_every), drips=self._is_due(be.drip_every))

    def _is_due(self, every: int) -> bool:
        return every > 0 and self._number % every == 0

    def _admitted(self, now: float) -> bool:
        """So many a second, with a bucket of a tenth of a second: the generic cell rate algorithm (ITU-T I.371)."""
        interval = 1 / self._behaviour.refuse_above
        if self._allowed_at - now > 0.1:  # noqa: PLR2004 - the bucket
            return False
        self._allowed_at = max(self._allowed_at, now) + interval
        return True

    def _after_stall(self, at: float) -> float:
        """Who would be answered in a stall is answered at its end."""
        be = self._behaviour
        if not be.stall_every_s or at < be.stall_after_s:
            return at
        into = (at - be.stall_after_s) % be.stall_every_s
        return at + be.stall_s - into if into < be.stall_s else at
