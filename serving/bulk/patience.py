"""How long to wait before a request that found no room is sent again, and when to give up."""

from __future__ import annotations

from dataclasses import dataclass

_FIRST_S = 0.1
_LONGEST_S = 5.0


@dataclass(frozen=True, slots=True)
class Patience:
    """Never gives up on a request before it has failed for `limit_s`."""

    limit_s: float

    def pause_s(self, attempt: int, failing_s: float, retry_after_s: float, chance: float) -> float | None:
        """The pause before the next attempt, or None to give up.

        `attempt` counts from 0, `failing_s` is how long the request has found no answer, `chance` is from 0 to 1 and
        spreads senders over half to one and a half of the pause, never before `retry_after_s`. No pause is longer than
        what is left of the limit: the last attempt is made at its end.
        """
        if failing_s >= self.limit_s:
            return None
        backed_off: float = min(_LONGEST_S, _FIRST_S * 2.0 ** min(attempt, 16))
        pause = backed_off * (0.5 + chance)
        told = retry_after_s * (1 + chance / 2)
        return min(max(pause, told), self.limit_s - failing_s)
