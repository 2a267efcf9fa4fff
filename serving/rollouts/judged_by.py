"""By what each gate is judged: which events, of which keys, how many of them are allowed, what a promotion asks for."""

from __future__ import annotations

from typing import Any

from serving.rollouts import explain
from serving.rollouts.gate import Gate, Kind, Margin
from serving.rollouts.guardrail import Guarded
from serving.rollouts.measuring import Basis
from serving.rollouts.plan import GuardrailSettings
from serving.rollouts.rollout import Rollout
from serving.routing.table import ALL_KEYS
from serving.state.rollout_counts import MOST_KEYS

_A_POINT = 0.01


def of_gate(rollout: Rollout, gate: Gate) -> dict[str, Any]:
    """In numbers and in a sentence; times are of the `run` stage."""
    bounds_ms = _bounds_ms(rollout) if gate.of_runs else []
    margins = [
        {"over_ms": bounds_ms[one.bin] if gate.of_runs else None, "ratio": one.ratio, "excess": one.excess}
        for one in gate.margins
    ]
    return {
        "counts": "runs" if gate.of_runs else "requests" if rollout.sticky is False else "keys",
        "key_share": _key_share(rollout, gate),
        "allowed": gate.phi0,
        "alpha": gate.alpha,
        "bounds_ms": bounds_ms,
        "margins": margins,
        "sentence": f"{_events(gate, bounds_ms)}{_whose(rollout, gate)}: {_allowed(gate)}"
        f"{_to_promote(rollout, gate, bounds_ms)}",
    }


def of_guard(rollout: Rollout, one: Guarded, settings: GuardrailSettings) -> dict[str, Any]:
    """In numbers and in a sentence: `rate` is the share of requests, or of runs, that is allowed."""
    over_ms = _guarded_over_ms(rollout, one.name)
    what = {
        "errors": "errors among requests",
        "slow": f"runs of the stable version over {over_ms:g} ms",
        "over_goal": f"runs with an answer over the model's latency goal of {over_ms:g} ms in all",
    }[one.name]
    return {
        "allowed": settings.allowed,
        "alpha": settings.alpha,
        "rate": one.allowed_rate,
        "over_ms": over_ms or None,
        "sentence": f"{what}: {100 * one.allowed_rate:.2g} % allowed, {settings.allowed:g} times the most that there "
        f"can have been before the start (alpha {settings.alpha:g})",
    }


def key_sample(rollout: Rollout) -> float | None:
    """Which share of keys is judged by what every key has; None where requests are counted."""
    return None if rollout.sticky is False else rollout.key_sample / ALL_KEYS


def _key_share(rollout: Rollout, gate: Gate) -> float | None:
    """What few keys have is counted of all keys."""
    share = key_sample(rollout)
    return 1.0 if share is not None and gate.kind is Kind.RATE else share


def _bounds_ms(rollout: Rollout) -> list[float]:
    return [bound / 1_000 for bound in (rollout.basis or Basis()).latency_bounds_us]


def _guarded_over_ms(rollout: Rollout, name: str) -> float:
    if name == "over_goal":
        return rollout.goal_us / 1_000
    return _bounds_ms(rollout)[(rollout.basis or Basis()).tails[1]] if name == "slow" else 0.0


def _events(gate: Gate, bounds_ms: list[float]) -> str:
    if gate.kind is Kind.DRIFT:
        return f"scores in {gate.bins} bins of the stable version's"
    if not gate.of_runs:
        return explain.words(gate.name)
    bounds = f"{len(bounds_ms)} bounds from {min(bounds_ms):g} to {max(bounds_ms):g} ms" if bounds_ms[1:] else ""
    return f"runs over {bounds or f'{bounds_ms[0]:g} ms'}, those of about as many rows together"


def _whose(rollout: Rollout, gate: Gate) -> str:
    sample = key_sample(rollout)
    if sample is None:
        return ""
    if sample == 1:
        return ", the first of each key"
    beyond = f", beyond {MOST_KEYS:,} keys" if gate.kind is Kind.RATE else ""
    return f", the first of each key{beyond} of a sample of {100 * sample:.3g} %"


def _allowed(gate: Gate) -> str:
    match gate.kind:
        case Kind.SPLIT:
            allowed = "the canary's share is its weight"
        case Kind.DRIFT:
            allowed = "the canary's lie as these"
        case _ if gate.phi0 == 1:
            allowed = "allowed as often as on the stable version"
        case _:
            allowed = f"allowed {gate.phi0:g} times as often as on the stable version"
    return f"{allowed} (alpha {gate.alpha:g})"


def _to_promote(rollout: Rollout, gate: Gate, bounds_ms: list[float]) -> str:
    if not gate.margins:
        return ""
    of_sample = ", of that sample," if (key_sample(rollout) or 1) < 1 else ""
    return f"; to promote{of_sample} {' and '.join(_margin(one, bounds_ms) for one in gate.margins)}"


def _margin(margin: Margin, bounds_ms: list[float]) -> str:
    over = f"over {bounds_ms[margin.bin]:g} ms " if bounds_ms else ""
    points = f"{100 * margin.excess:g} point{'' if margin.excess == _A_POINT else 's'}"
    return f"{over}less than {margin.ratio:g} times as many or {points} more"
