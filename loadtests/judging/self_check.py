"""Whether the generator kept up: a load that left late measures its own generator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from loadtests.generator.outcomes import UNSENT, Outcomes, nearest_rank
from loadtests.judging.latency import SHARES
from loadtests.running.order import Account
from loadtests.scenario.scenario import AllGates, Gates

# Where no gate says what matters.
_LATE_MS = 1.0
_CPU_SHARE = 0.95
_UNSENT_SHARE = 0.001
_READ_LATE_SHARE = 0.01
NOTHING = "nothing was sent"
RULE = (
    "A load is invalid where at the 99th percentile, or at any that a gate names, requests left later after they were "
    f"due than a tenth of the gate's bound ({_LATE_MS:g} ms where there is none), where over "
    f"{_READ_LATE_SHARE:.0%} of answers lay unread for over that and a tenth of what they took, where over "
    f"{_UNSENT_SHARE:.1%} of requests found no socket, or where a generator used over {_CPU_SHARE:.0%} of a core. "
    "Latency counts from when a request was due, so what is late is in it: such figures are the generator's, not the "
    "server's."
)


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """`problems` say why a load is invalid; `notes` what readers should know of a valid one."""

    problems: tuple[str, ...]
    notes: tuple[str, ...]
    figures: dict[str, Any]

    @property
    def valid(self) -> bool:
        """Whether its figures are the server's."""
        return not self.problems


def self_check(outcomes: Outcomes, gates: Gates, accounts: Sequence[Account], lags_s: Sequence[float]) -> SelfCheck:
    """By the rule above."""
    left = outcomes.status != UNSENT
    late = np.sort((outcomes.sent - outcomes.due)[left])
    # Under a microsecond early is the clock's rounding.
    late = np.maximum(late[np.isfinite(late)], 0.0) * 1e3
    problems = [one.lost for one in accounts if one.lost]
    problems += [*_late(late, gates), *_unread(accounts, len(late)), *_busy(accounts)] if len(late) else [NOTHING]
    unsent, without = len(outcomes) - int(left.sum()), sum(one.without_socket for one in accounts)
    notes = []
    if without > _UNSENT_SHARE * len(outcomes):
        problems.append(f"{without} found no socket: this machine has no more ports or descriptors for another one")
    elif unsent > _UNSENT_SHARE * len(outcomes):
        notes.append(f"{unsent} of {len(outcomes)} could not leave: as many as permitted were unanswered already")
    lateness = {name: round(nearest_rank(late, share), 4) for name, share in SHARES.items()} if len(late) else {}
    figures = {
        "processes": len(accounts),
        "lateness": lateness,
        "longest_lag_ms": round(max(lags_s, default=0.0) * 1e3, 3),
        "cpu_share": [round(share(one), 3) for one in accounts],
        "preempted": sum(one.preempted for one in accounts),
        "connections": sum(one.connections for one in accounts),
        "peak_mb": round(max((one.peak_mb for one in accounts), default=0.0), 1),
        "rule": RULE,
    }
    return SelfCheck(tuple(problems), tuple(notes), figures)


def share(account: Account) -> float:
    """Of a core."""
    return account.cpu_s / account.wall_s if account.wall_s > 0 else 0.0


def late_limits(gates: Gates) -> dict[str, float]:
    """Milliseconds that requests may leave late by, at each percentile that is looked at."""
    # A variant's gate is as strict as any other.
    each = [gates, *(gates.variants.values() if isinstance(gates, AllGates) else ())]
    bounds = [(name, limit) for one in each for name in SHARES if (limit := getattr(one, name, None)) is not None]
    limits = {name: min(limit for other, limit in bounds if other == name) / 10 for name, _ in bounds}
    limits.setdefault("p99_ms", min(limits.values(), default=_LATE_MS))
    return limits


def _unread(accounts: Sequence[Account], answers: int) -> list[str]:
    late = sum(one.read_late for one in accounts)
    if late <= _READ_LATE_SHARE * answers:
        return []
    return [f"{late} answers lay unread for over a tenth of what they took: the generator could not read as fast"]


def _late(late_ms: np.ndarray[Any, np.dtype[np.float64]], gates: Gates) -> list[str]:
    limits = late_limits(gates)
    found = {name: nearest_rank(late_ms, SHARES[name]) for name in limits}
    return [
        f"requests left {found[name]:.3g} ms late at {name.removesuffix('_ms')}; at the most {limit:.3g} ms"
        for name, limit in limits.items()
        if found[name] > limit
    ]


def _busy(accounts: Sequence[Account]) -> list[str]:
    return [
        f"generator {number} used {share(one):.0%} of a core: name more processes, or a lower rate"
        for number, one in enumerate(accounts)
        if share(one) > _CPU_SHARE
    ]
