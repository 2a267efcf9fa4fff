"""A plan as people write it, read and checked; everything that is wrong with it is told at once, in sentences."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf
from typing import Any

from serving.errors import ConfigInvalid
from serving.rollouts import isolation
from serving.rollouts.argo_steps import entries
from serving.rollouts.hook import hooks
from serving.rollouts.plan import (
    DEFAULT_GATES,
    DEFAULT_MARGIN,
    DEFAULT_SHADOW_GATES,
    GateSettings,
    GuardrailSettings,
    Otherwise,
    Plan,
    ShadowGate,
    ShadowStage,
    Step,
    default_steps,
)
from serving.rollouts.stratum import WHOLE_BP

KEYS = (
    *("steps", "gates", "guardrail", "shadow", "min_requests", "min_events"),
    *("on_inconclusive", "on_no_data", "expect_drift", "webhooks", "isolation"),
)
_STEP_KEYS = ("weight", "duration", "max_duration", "approval")
_SHADOW_KEYS = ("percent", "duration", "max_duration", "gates", "show_features")
_SHADOW_GATES = ("flips", "deltas", "errors")
_MARGIN_KEYS = ("margin", "excess")
# Of latency, for the share of runs over the bounds nearest to these: `plan.TAILS`.
_TAIL_KEYS = ("p90", "p99")
_DURATION = re.compile(r"([0-9]+)([smhd])")
_UNIT_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_MOST_ALPHA = 0.1
# All of them are kept and shown with each rollout.
_MOST_STEPS = 100
# A step that does not say how long it may last may last so many times as long as it has to.
_LONGEST = 12
# These always hold: without them no verdict means anything.
_ALWAYS = ("errors", "split")


@dataclass(slots=True)
class _Problems:
    found: list[str] = field(default_factory=list)

    def add(self, where: str, what: str) -> None:
        self.found.append(f"{where}: {what}")

    def unknown(self, where: str, given: Mapping[str, Any], known: tuple[str, ...]) -> None:
        for key in given:
            if key not in known:
                self.add(where, f"unknown key {key!r}; there are {', '.join(known)}")


def parse(document: Mapping[str, Any], requests_per_min: float = 1_000.0) -> Plan:
    """The plan that a file says; what it leaves out is as it fits the model's traffic.

    Raises:
        ConfigInvalid: a line for everything that is wrong.
    """
    problems = _Problems()
    if not isinstance(document, Mapping):
        raise ConfigInvalid("a plan is a mapping with any of the keys " + ", ".join(KEYS))
    problems.unknown("plan", document, KEYS)
    plan = Plan(
        steps=_steps(document.get("steps"), requests_per_min, problems),
        gates=_gates(document.get("gates"), problems),
        guardrail=_guardrail(document.get("guardrail"), problems),
        shadow=_shadow(document.get("shadow"), problems),
        min_requests=_whole(document, "min_requests", 50, problems),
        min_events=_whole(document, "min_events", 5, problems),
        on_inconclusive=_otherwise(document, "on_inconclusive", problems),
        on_no_data=_otherwise(document, "on_no_data", problems),
        expect_drift=_flag(document, "expect_drift", "plan", problems),
        webhooks=hooks(document.get("webhooks"), problems, _duration),
        isolation=_isolation(document.get("isolation"), problems),
    )
    if problems.found:
        raise ConfigInvalid("\n".join(problems.found))
    return plan


def _steps(given: Any, requests_per_min: float, problems: _Problems) -> tuple[Step, ...]:  # noqa: ANN401 - a file
    if given is None:
        return default_steps(requests_per_min)
    if not isinstance(given, list) or not given:
        problems.add("steps", "is no list of steps such as {weight: 5, duration: 5m}")
        return ()
    if len(given) > _MOST_STEPS:
        problems.add("steps", f"{len(given)} of them; at most {_MOST_STEPS}")
        return ()
    steps = [(where, _step(where, entry, problems)) for where, entry in entries(given, problems.add)]
    for (_, before), (where, after) in pairwise(steps):
        if after.weight_bp <= before.weight_bp:
            problems.add(
                f"{where}.weight",
                f"{_percent(after.weight_bp)} follows {_percent(before.weight_bp)}; weights must grow with each step",
            )
    return tuple(step for _, step in steps)


def _step(where: str, given: Any, problems: _Problems) -> Step:  # noqa: ANN401 - a file
    if not isinstance(given, Mapping):
        problems.add(where, "is no step such as {weight: 5, duration: 5m}")
        return Step(0, 0, 0)
    problems.unknown(where, given, _STEP_KEYS)
    weight_bp = _weight(where, given.get("weight"), problems)
    least_s = _duration(f"{where}.duration", given.get("duration", "5m"), problems)
    most = given.get("max_duration")
    most_s = least_s * _LONGEST if most is None else _duration(f"{where}.max_duration", most, problems)
    if most_s < least_s:
        problems.add(f"{where}.max_duration", "is shorter than duration; the step could never end by itself")
    return Step(weight_bp, least_s, most_s, _flag(given, "approval", where, problems))


def _weight(where: str, given: Any, problems: _Problems) -> int:  # noqa: ANN401 - a file
    percent = (
        float(given.removesuffix("%")) if isinstance(given, str) and _is_number(given.removesuffix("%")) else given
    )
    if isinstance(percent, bool) or not isinstance(percent, int | float) or not 0 < percent < 100:  # noqa: PLR2004
        problems.add(
            f"{where}.weight", f"{given!r} is no weight; a percentage above 0 and below 100, as 100 % follows by itself"
        )
        return 0
    basis_points = round(percent * 100)
    if abs(basis_points - percent * 100) > 1e-9 or basis_points == 0:  # noqa: PLR2004
        problems.add(f"{where}.weight", f"{given!r} is finer than a hundredth of a percent")
    return min(basis_points, WHOLE_BP - 1)


def _gates(given: Any, problems: _Problems) -> Mapping[str, GateSettings]:  # noqa: ANN401 - a file
    gates = dict(DEFAULT_GATES)
    if given is None:
        return gates
    if not isinstance(given, Mapping):
        problems.add("gates", "is no mapping of gates such as {errors: {margin: 1.5}}")
        return gates
    for name, settings in given.items():
        if name not in DEFAULT_GATES:
            problems.add(f"gates.{name}", f"no such gate; there are {', '.join(DEFAULT_GATES)}")
        elif settings is False and name not in _ALWAYS:
            del gates[name]
        elif not isinstance(settings, Mapping):
            problems.add(f"gates.{name}", _no_settings(name))
        else:
            gates[name] = _gate(name, settings, problems)
    total = sum(gate.alpha for gate in gates.values())
    if total > _MOST_ALPHA:
        problems.add(
            "gates", f"alphas add up to {total:g}: so many harmless canaries would be stopped; at most {_MOST_ALPHA:g}"
        )
    return gates


def _keys_of(name: str) -> tuple[str, ...]:
    """What a plan may say of a gate: errors have a margin, latency one for each tail, the others none."""
    margins: tuple[str, ...] = {"errors": _MARGIN_KEYS, "latency": _TAIL_KEYS}.get(name, ())
    return ("alpha", "allowed", *margins)


def _no_settings(name: str) -> str:
    off = "" if name in _ALWAYS else ", or false to leave it out"
    return f"is no mapping with any of the keys {', '.join(_keys_of(name))}{off}"


def _gate(name: str, given: Mapping[str, Any], problems: _Problems) -> GateSettings:
    where, before = f"gates.{name}", DEFAULT_GATES[name]
    problems.unknown(where, given, _keys_of(name))
    alpha = _number(where, "alpha", given.get("alpha", before.alpha), problems, _is_share, "between 0 and 1")
    allowed = _number(where, "allowed", given.get("allowed", before.allowed), problems, _from_one, "of 1 or more")
    if name == "latency":
        parts = [(f"{where}.{tail}", _tail(where, tail, given, problems)) for tail in _TAIL_KEYS]
    else:
        parts = [(where, given)]
    margins = (
        _margin(at, part, margin, allowed, problems) for (at, part), margin in zip(parts, before.margins, strict=False)
    )
    return GateSettings(alpha, allowed, tuple(margins))


def _tail(where: str, tail: str, given: Mapping[str, Any], problems: _Problems) -> Mapping[str, Any]:
    part = given.get(tail, {})
    if not isinstance(part, Mapping):
        problems.add(f"{where}.{tail}", "is no mapping with any of the keys margin, excess")
        return {}
    problems.unknown(f"{where}.{tail}", part, _MARGIN_KEYS)
    return part


def _margin(
    where: str, given: Mapping[str, Any], before: tuple[float, float], allowed: float, problems: _Problems
) -> tuple[float, float]:
    ratio = _number(where, "margin", given.get("margin", before[0]), problems, _over_one, "above 1")
    if ratio <= allowed and "margin" in given and ratio > 1:
        problems.add(
            f"{where}.margin", f"{ratio:g} is not above allowed, {allowed:g}; what is allowed could not be promoted"
        )
    return ratio, _number(where, "excess", given.get("excess", before[1]), problems, _is_share, "between 0 and 1")


def _guardrail(given: Any, problems: _Problems) -> GuardrailSettings | None:  # noqa: ANN401 - a file
    if given is None:
        return GuardrailSettings()
    if given is False:
        return None
    if not isinstance(given, Mapping):
        problems.add("guardrail", "is no mapping with any of the keys allowed, alpha, or false to leave it out")
        return None
    where, before = "guardrail", GuardrailSettings()
    problems.unknown(where, given, ("allowed", "alpha"))
    return GuardrailSettings(
        _number(where, "allowed", given.get("allowed", before.allowed), problems, _over_one, "above 1"),
        _number(where, "alpha", given.get("alpha", before.alpha), problems, _is_share, "between 0 and 1"),
    )


def _number(  # noqa: PLR0913, PLR0917 - one call for each setting, so that none is forgotten
    where: str,
    key: str,
    value: Any,  # noqa: ANN401 - a file
    problems: _Problems,
    fits: Callable[[float], bool],
    words: str,
) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not fits(value):
        problems.add(f"{where}.{key}", f"{value!r} is not permitted; a number {words}")
        return 0.5
    return float(value)


def _shadow(given: Any, problems: _Problems) -> ShadowStage | None:  # noqa: ANN401 - a file
    if given is None:
        return None
    if not isinstance(given, Mapping):
        problems.add("shadow", "is no stage such as {percent: 10, duration: 10m}")
        return None
    problems.unknown("shadow", given, _SHADOW_KEYS)
    fits, words = _is_percent, "from 0.01 and up to 100"
    percent = _number("shadow", "percent", given.get("percent", 100), problems, fits, words)
    least_s = _duration("shadow.duration", given.get("duration", "10m"), problems)
    most = given.get("max_duration")
    most_s = least_s * _LONGEST if most is None else _duration("shadow.max_duration", most, problems)
    if most_s < least_s:
        problems.add("shadow.max_duration", "is shorter than duration; the stage could never end by itself")
    gates, margin = _shadow_gates(given.get("gates"), problems)
    return ShadowStage(percent, least_s, most_s, gates, margin, _flag(given, "show_features", "shadow", problems))


def _shadow_gates(given: Any, problems: _Problems) -> tuple[Mapping[str, ShadowGate], float]:  # noqa: ANN401 - a file
    gates, margin = dict(DEFAULT_SHADOW_GATES), DEFAULT_MARGIN
    if given is None:
        return gates, margin
    if not isinstance(given, Mapping):
        problems.add("shadow.gates", "is no mapping of gates such as {flips: {largest: 0.01}}")
        return gates, margin
    for name, settings in given.items():
        where = f"shadow.gates.{name}"
        if name not in _SHADOW_GATES:
            problems.add(where, f"no such gate; there are {', '.join(_SHADOW_GATES)}")
        elif not isinstance(settings, Mapping) or "largest" not in settings:
            problems.add(where, "is no gate such as {largest: 0.01}, the share of pairs that is allowed")
        else:
            problems.unknown(where, settings, ("largest", "alpha", *(["margin"] if name == "deltas" else [])))
            largest = _number(where, "largest", settings["largest"], problems, _is_share, "between 0 and 1")
            alpha = _number(where, "alpha", settings.get("alpha", 0.01), problems, _is_share, "between 0 and 1")
            gates[name] = ShadowGate(largest, alpha)
            margin = _number(where, "margin", settings.get("margin", margin), problems, _is_positive, "above 0")
    total = sum(gate.alpha for gate in gates.values())
    if total > _MOST_ALPHA:
        problems.add(
            "shadow.gates",
            f"alphas add up to {total:g}: so many harmless canaries would be stopped; at most {_MOST_ALPHA:g}",
        )
    return gates, margin


def _isolation(given: Any, problems: _Problems) -> isolation.Isolation:  # noqa: ANN401 - a file
    found, wrong = isolation.read(given)
    for what in wrong:
        problems.add("isolation", what)
    return found


def _duration(where: str, given: Any, problems: _Problems) -> int:  # noqa: ANN401 - a file
    match = _DURATION.fullmatch(given) if isinstance(given, str) else None
    if match is None or int(match[1]) == 0:
        problems.add(where, f"{given!r} is no duration; 90s, 5m or 2h")
        return 0
    return int(match[1]) * _UNIT_S[match[2]]


def _whole(given: Mapping[str, Any], key: str, default: int, problems: _Problems) -> int:
    value = given.get(key, default)
    if type(value) is not int or value < 1:
        problems.add(key, f"{value!r} is not permitted; a whole number from 1")
        return default
    return value


def _otherwise(given: Mapping[str, Any], key: str, problems: _Problems) -> Otherwise:
    value = given.get(key, Otherwise.PAUSE)
    if value not in list(Otherwise):
        problems.add(key, f"{value!r} is not permitted; one of {', '.join(Otherwise)}")
        return Otherwise.PAUSE
    return Otherwise(value)


def _flag(given: Mapping[str, Any], key: str, where: str, problems: _Problems) -> bool:
    value = given.get(key, False)
    if not isinstance(value, bool):
        problems.add(f"{where}.{key}", f"{value!r} is not permitted; true or false")
        return False
    return value


def _percent(basis_points: int) -> str:
    return f"{basis_points / 100:g} %"


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) is not None


def _is_share(value: float) -> bool:
    return 0 < value < 1


def _from_one(value: float) -> bool:
    return 1 <= value < 100  # noqa: PLR2004 - more is no bound


def _over_one(value: float) -> bool:
    return 1 < value < 100  # noqa: PLR2004 - more is no bound


def _is_percent(value: float) -> bool:
    return 0.01 <= value <= 100  # noqa: PLR2004 - a hundredth of a percent, and all of it


def _is_positive(value: float) -> bool:
    return 0 < value < inf
