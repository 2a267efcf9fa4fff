"""Whether a canary takes what callers of the stable version send, and answers in the form that they know.

What is refused for its form is blamed on the caller, and on no version: a canary that takes other inputs would refuse
its share of the requests without an error that counts against it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Spec = Mapping[str, Any]
_ANY = -1


def other_form(stable: Spec, canary: Spec) -> str:
    """What callers of the stable version would trip over; "" where there is nothing. Both as the session shows them."""
    return _inputs(stable, canary) or _outputs(stable, canary)


def _inputs(stable: Spec, canary: Spec) -> str:
    given, taken = _by_name(stable["inputs"]), _by_name(canary["inputs"])
    for name, spec in given.items():
        if name not in taken:
            return f"version {canary['version']} has no input {name!r}, which version {stable['version']} has"
        if spec["datatype"] != taken[name]["datatype"] or not _takes(taken[name]["shape"], spec["shape"]):
            return _differ("input", name, (canary, taken[name]), (stable, spec))
    for name, spec in taken.items():
        if name not in given and not spec.get("optional"):
            return f"version {canary['version']} needs input {name!r}, which version {stable['version']} does not have"
    return ""


def _outputs(stable: Spec, canary: Spec) -> str:
    answered = _by_name(canary["outputs"])
    for name, spec in _by_name(stable["outputs"]).items():
        if name not in answered:
            return f"version {canary['version']} has no output {name!r}, which version {stable['version']} has"
        other = answered[name]
        if spec["datatype"] != other["datatype"] or not _alike(other["shape"], spec["shape"]):
            return _differ("output", name, (canary, other), (stable, spec))
    return ""


def _takes(taken: Sequence[int], given: Sequence[int]) -> bool:
    return len(taken) == len(given) and all(one in (_ANY, other) for one, other in zip(taken, given, strict=True))


def _alike(one: Sequence[int], other: Sequence[int]) -> bool:
    # What a model declares of its outputs is not always what it answers: only what contradicts is one.
    if not (one and other):
        return True
    return len(one) == len(other) and all(a == b or _ANY in (a, b) for a, b in zip(one, other, strict=True))


def _differ(what: str, name: str, *sides: tuple[Spec, Spec]) -> str:
    (canary, theirs), (stable, ours) = sides
    return (
        f"{what} {name!r} of version {canary['version']} is {theirs['datatype']} {theirs['shape']}, "
        f"of version {stable['version']} {ours['datatype']} {ours['shape']}"
    )


def _by_name(specs: Sequence[Spec]) -> Mapping[str, Spec]:
    return {spec["name"]: spec for spec in specs}
