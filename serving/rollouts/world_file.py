"""A world as people describe it in a file, read and checked; everything that is wrong with it is told at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, NamedTuple

from serving.errors import ConfigInvalid
from serving.rollouts.world import Fault, Peak, World


class _Range(NamedTuple):
    least: float
    most: float
    whole: bool = False


_RATE, _FACTOR, _TIME = _Range(0, 1), _Range(0, 1_000), _Range(0, 7 * 86_400)
_FAULT = {
    "error_ratio": _FACTOR,
    "latency_factor": _Range(0.01, 100),
    "slow_share": _RATE,
    "slow_factor": _Range(0.01, 1_000),
    "score_shift": _Range(-10, 10),
    "from_s": _TIME,
    "from_step": _Range(0, 100, whole=True),
    "above_load": _FACTOR,
}
_PEAK = {"at_s": _TIME, "width_s": _Range(1, 86_400), "factor": _Range(0.01, 1_000)}
_WORLD = {
    "requests_per_min": _Range(0, 1e7),
    "error_rate": _RATE,
    "keys": _Range(0, 1e6, whole=True),
    "key_spread": _Range(0, 5),
    "error_spread": _Range(0.01, 100),
    "missing_rate": _RATE,
    "look_s": _Range(1, 60, whole=True),
    "fine_from_s": _TIME,
}
_PARTS = ("fault", "outage", "peak")
_OF_BOTH = ("error_ratio", "latency_factor", "from_s")


def parse(document: Mapping[str, Any]) -> World:
    """The world that a file says; what it leaves out is as in `World`.

    Raises:
        ConfigInvalid: a line for everything that is wrong.
    """
    problems: list[str] = []
    _unknown("world", document, (*_WORLD, "drifts", *_PARTS), problems)
    given: dict[str, Any] = _numbers("", document, _WORLD, problems)
    if "drifts" in document:
        given["drifts"] = _flag(document["drifts"], problems)
    if "fault" in document:
        given["fault"] = Fault(**_part("fault", document["fault"], _FAULT, problems))
    if "outage" in document:
        of_both = {name: _FAULT[name] for name in _OF_BOTH}
        given["outage"] = Fault(**_part("outage", document["outage"], of_both, problems))
    if "peak" in document:
        given["peak"] = _peak(document["peak"], problems)
    if problems:
        raise ConfigInvalid("\n".join(problems))
    return World(**given)


def _peak(given: Any, problems: list[str]) -> Peak:  # noqa: ANN401 - a file
    values = {"at_s": 0.0, "width_s": 1.0, "factor": 1.0} | _part("peak", given, _PEAK, problems)
    missing = [one.name for one in fields(Peak) if isinstance(given, Mapping) and one.name not in given]
    if missing:
        problems.append(f"peak: {', '.join(missing)} missing; all of {', '.join(_PEAK)} are needed")
    return Peak(**values)


def _part(where: str, given: Any, ranges: Mapping[str, _Range], problems: list[str]) -> dict[str, Any]:  # noqa: ANN401
    if not isinstance(given, Mapping):
        problems.append(f"{where}: is no mapping with any of the keys {', '.join(ranges)}")
        return {}
    _unknown(where, given, tuple(ranges), problems)
    return _numbers(f"{where}.", given, ranges, problems)


def _numbers(
    prefix: str, given: Mapping[str, Any], ranges: Mapping[str, _Range], problems: list[str]
) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, permitted in ranges.items():
        if name not in given:
            continue
        value, kind = given[name], int if permitted.whole else int | float
        if isinstance(value, bool) or not isinstance(value, kind) or not permitted.least <= value <= permitted.most:
            what = "whole number" if permitted.whole else "number"
            between = f"between {permitted.least:g} and {permitted.most:g}"
            problems.append(f"{prefix}{name}: {value!r} is not permitted; a {what} {between}")
        else:
            found[name] = value if permitted.whole else float(value)
    return found


def _flag(value: Any, problems: list[str]) -> bool:  # noqa: ANN401 - a file
    if not isinstance(value, bool):
        problems.append(f"drifts: {value!r} is not permitted; true or false")
    return bool(value)


def _unknown(where: str, given: Mapping[str, Any], known: tuple[str, ...], problems: list[str]) -> None:
    problems += [f"{where}: unknown key {key!r}; there are {', '.join(known)}" for key in given if key not in known]
