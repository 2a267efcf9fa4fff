"""When a replica counts as lost, and how long it is left alone before the next attempt."""

from __future__ import annotations

from dataclasses import dataclass

from serving.backends.pool_options import PoolOptions


@dataclass(frozen=True, slots=True)
class Standing:
    """How it went with one replica so far."""

    failures: int = 0
    refused: bool = False


def after_failure(standing: Standing, lived_s: float, *, refused: bool, options: PoolOptions) -> Standing:
    """A connection ended, or never came to be; one that lived long enough wipes the slate clean."""
    earlier = 0 if lived_s >= options.steady_s else standing.failures
    return Standing(earlier + 1, refused)


def pause_s(standing: Standing, chance: float, options: PoolOptions) -> float:
    """Twice as long after each failure in a row, up to a bound; `chance` in [0, 1) spreads gateways over half of it.

    A refusal (wrong secret or version) does not heal by itself, so that pause is long from the start.
    """
    if standing.refused:
        longest = options.refused_pause_s
    else:
        # The exponent is bounded, since 2.0 ** 1024 is no float.
        longest = min(options.first_pause_s * 2.0 ** min(standing.failures - 1, 30), options.longest_pause_s)
    return longest * (0.5 + chance / 2)


@dataclass(frozen=True, slots=True)
class Silence:
    """Counted in ticks of the loop, not on the clock: a loop that was held up has not yet read what has arrived."""

    quiet_ticks: int = 0
    idle_ticks: int = 0


def after_tick(silence: Silence, *, heard: bool, owed: bool) -> Silence:
    """A tick has passed; `owed` tells that an answer was outstanding during it."""
    if heard:
        return Silence()
    if owed:
        return Silence(silence.quiet_ticks + 1, 0)
    return Silence(0, silence.idle_ticks + 1)


def lost(silence: Silence, options: PoolOptions) -> bool:
    """It owes an answer and has said nothing for too long."""
    return silence.quiet_ticks * options.tick_s > options.silence_s


def ping_due(silence: Silence, options: PoolOptions) -> bool:
    """Nothing was said for so long that it is time to ask."""
    return silence.idle_ticks * options.tick_s >= options.ping_s
