"""How long to wait before a crashed part is started again."""

from __future__ import annotations

FIRST_S = 0.5
LONGEST_S = 30.0
STEADY_S = 60.0


def strikes_after(strikes: int, lived_s: float) -> int:
    """Crashes in a row: one more than before, or the first again when the part had lived for a minute."""
    return 1 if lived_s >= STEADY_S else strikes + 1


def delay_s(strikes: int) -> float:
    """No wait after the first crash, then half a second that doubles with each further one, up to 30 s."""
    if strikes <= 1:
        return 0.0
    # The exponent is bounded before the power is taken: a part may crash for weeks.
    return min(FIRST_S * 2.0 ** min(strikes - 2, 16), LONGEST_S)
