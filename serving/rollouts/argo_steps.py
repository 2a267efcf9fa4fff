"""Steps in the words of Argo Rollouts, for whoever has them already: `setWeight` and `pause` become steps of a plan.

Of Argo's specification of a canary (`spec.strategy.canary.steps`): a weight is kept for the pause that follows it, and
a pause without a duration waits for a person. What else Argo has as a step is done all the time here, or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

# Where it stands in the file, and what a plan would say.
Entry = tuple[str, Any]
Tell = Callable[[str, str], None]
_WEIGHT, _PAUSE = "setWeight", "pause"
_ALL = 100
_ONE_EACH = "is one pause too many at this weight, which has one with a duration and behind it one for a person"


def entries(given: Sequence[Any], tell: Tell) -> list[Entry]:
    """Steps as a plan says them; those that are so already stay as they are."""
    if not any(isinstance(one, Mapping) and _WEIGHT in one for one in given):
        return [(f"steps[{place}]", one) for place, one in enumerate(given)]
    found: list[tuple[str, dict[str, Any]]] = []
    waits = ""
    for place, one in enumerate(given):
        where = f"steps[{place}]"
        if not isinstance(one, Mapping) or len(one) != 1 or not {_WEIGHT, _PAUSE} & one.keys():
            tell(where, "is neither {setWeight: 5} nor {pause: {duration: 5m}}; gates judge all the time")
        elif _WEIGHT in one:
            found.append((where, {"weight": one[_WEIGHT], **({"approval": True} if waits else {})}))
            waits = ""
        elif not found or waits:
            tell(where, _ONE_EACH if found else "comes before the first setWeight; leave it out")
        elif duration := _duration(where, one[_PAUSE], tell):
            if "duration" in found[-1][1]:
                tell(where, _ONE_EACH)
            found[-1][1]["duration"] = duration
        else:
            waits = where
    if waits:
        tell(waits, "waits before 100 %, which follows by itself; a webhook with confirm: true is asked before it")
    # It follows by itself.
    return list(found[:-1] if len(found) > 1 and found[-1][1]["weight"] == _ALL else found)


def _duration(where: str, pause: Any, tell: Tell) -> str:  # noqa: ANN401 - a file
    """How long it lasts; "" until somebody agrees."""
    if pause in (None, {}):
        return ""
    duration = pause.get("duration") if isinstance(pause, Mapping) and len(pause) == 1 else None
    if isinstance(duration, int) and not isinstance(duration, bool):
        # Argo's numbers are seconds.
        return f"{duration}s"
    if not isinstance(duration, str) or not duration:
        tell(where, f"{pause!r} is no pause; {{duration: 5m}}, or {{}} to wait for a person")
        return "5m"
    return duration
