"""Where a plan wants its canary to run, and how that is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

_KEYS = ("replicas", "cpus", "memory_mb")
_MOST_REPLICAS, _MOST_CPUS, _LEAST_MB, _MOST_MB = 1_000, 1_024, 64, 1 << 22


@dataclass(frozen=True, slots=True)
class Isolation:
    """Replicas of its own, or `shared` ones; what is 0 is as the pool of the stable version has it."""

    shared: bool = False
    replicas: int = 0
    cpus: float = 0.0
    memory_mb: int = 0

    def wish(self, most_bp: int) -> dict[str, Any]:
        """As the session is asked; `most_bp` is the largest weight that the canary will have."""
        return {**asdict(self), "most_bp": most_bp}


def read(given: Any) -> tuple[Isolation, list[str]]:  # noqa: ANN401 - a file
    """What a plan says, and everything that is wrong with it."""
    if given is None or given == "own":
        return Isolation(), []
    if given == "shared":
        return Isolation(shared=True), []
    if not isinstance(given, Mapping):
        return Isolation(), [f"{given!r} is not permitted; own, shared, or a size such as {{replicas: 1, cpus: 0.5}}"]
    problems = [f"unknown key {key!r}; there are {', '.join(_KEYS)}" for key in given if key not in _KEYS]
    replicas = given.get("replicas", 0)
    if "replicas" in given and (type(replicas) is not int or not 1 <= replicas <= _MOST_REPLICAS):
        problems.append(f"replicas {replicas!r} is not permitted; a whole number from 1 to {_MOST_REPLICAS}")
    cpus = given.get("cpus", 0.0)
    if "cpus" in given and (type(cpus) not in (int, float) or not 0 < cpus <= _MOST_CPUS):
        problems.append(f"cpus {cpus!r} is not permitted; a number above 0 and up to {_MOST_CPUS}")
    memory_mb = given.get("memory_mb", 0)
    if "memory_mb" in given and (type(memory_mb) is not int or not _LEAST_MB <= memory_mb <= _MOST_MB):
        problems.append(f"memory_mb {memory_mb!r} is not permitted; a whole number from {_LEAST_MB} to {_MOST_MB}")
    if problems:
        return Isolation(), problems
    return Isolation(replicas=replicas, cpus=float(cpus), memory_mb=memory_mb), []
