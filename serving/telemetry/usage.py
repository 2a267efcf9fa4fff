"""What each version did for how many requests and rows, as the protocol's statistics extension asks.

The stages of the protocol are ours so: input is what makes tensors of what was sent (decoding, reading features), infer
the run with its way to the model and back, output what makes an answer of the model's. A batch's run counts whole for
each request in it, as the protocol defines it. Requests that never reached a version count nowhere here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from serving.inference import VersionKey


class Runs(NamedTuple):
    """Batches of one size: how many, and the seconds of each stage over all of them."""

    times: int = 0
    input_s: float = 0.0
    infer_s: float = 0.0
    output_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Usage:
    """One version since it was loaded, in seconds over all requests; `runs` has its batches by their rows.

    `last_at` is when it answered last, in seconds since 1970; 0 where it never did.
    """

    answered: int = 0
    total_s: float = 0.0
    queue_s: float = 0.0
    input_s: float = 0.0
    infer_s: float = 0.0
    output_s: float = 0.0
    failed: int = 0
    failed_s: float = 0.0
    last_at: float = 0.0
    runs: Mapping[int, Runs] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows that ran."""
        return sum(rows * runs.times for rows, runs in self.runs.items())

    @property
    def batches(self) -> int:
        """Times that the model ran."""
        return sum(runs.times for runs in self.runs.values())


_FIELDS = tuple(each.name for each in fields(Usage))


class UsageCounts:
    """The same while it is counted: one call a batch, below 1 us."""

    __slots__ = ("_numbers", "_runs", "_wall_clock", "changed", "told_at")

    def __init__(self, wall_clock: Callable[[], float]) -> None:
        self._wall_clock = wall_clock
        self._numbers: list[Any] = [0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, 0.0, 0.0]
        self._runs: dict[int, list[Any]] = {}
        self.changed = True
        self.told_at = 0

    def ran(self, rows: int, requests: int, stages: tuple[float, float, float, float, float]) -> None:
        """Count a batch that answered so many requests; `stages` are the seconds in total, in the queue and for input,
        all summed over its requests, then those of its run and its output.
        """
        total_s, queue_s, input_s, infer_s, output_s = stages
        self.changed = True
        numbers = self._numbers
        numbers[0] += requests
        numbers[1] += total_s
        numbers[2] += queue_s
        numbers[3] += input_s
        numbers[4] += infer_s * requests
        numbers[5] += output_s * requests
        numbers[8] = self._wall_clock()
        runs = self._runs.get(rows)
        if runs is None:
            runs = self._runs[rows] = [0, 0.0, 0.0, 0.0]
        runs[0] += 1
        runs[1] += input_s
        runs[2] += infer_s
        runs[3] += output_s

    def failed(self, requests: int, total_s: float) -> None:
        """Count requests that the version did not answer, for whatever reason."""
        self.changed = True
        self._numbers[6] += requests
        self._numbers[7] += total_s

    def taken(self) -> Usage:
        """As it stands now."""
        runs = {rows: Runs(*one) for rows, one in self._runs.items()}
        return Usage(**dict(zip(_FIELDS, [*self._numbers, runs], strict=True)))

    def numbers(self) -> list[Any]:
        """The same for the way to another process; see `numbers_of`."""
        return [*self._numbers, [[rows, *runs] for rows, runs in self._runs.items()]]


def numbers_of(usage: Usage) -> list[Any]:
    """For the way to another process, in the order of the fields."""
    numbers = [getattr(usage, name) for name in _FIELDS]
    numbers[-1] = [[rows, *one] for rows, one in usage.runs.items()]
    return numbers


def usage_of(numbers: list[Any]) -> Usage:
    """What `numbers_of` made."""
    named = dict(zip(_FIELDS, numbers, strict=True))
    named["runs"] = {rows: Runs(*one) for rows, *one in named["runs"]}
    return Usage(**named)


def by_version(parts: Iterable[Mapping[VersionKey, Usage]]) -> dict[VersionKey, Usage]:
    """Several workers' usage of all versions as one."""
    total: dict[VersionKey, Usage] = {}
    for part in parts:
        for key, one in part.items():
            before = total.get(key)
            total[key] = one if before is None else _sum(before, one)
    return total


def _sum(one: Usage, other: Usage) -> Usage:
    sums = {name: getattr(one, name) + getattr(other, name) for name in _FIELDS if name not in ("last_at", "runs")}
    runs = dict(one.runs)
    for rows, more in other.runs.items():
        before = runs.get(rows, Runs())
        runs[rows] = Runs(
            before.times + more.times,
            before.input_s + more.input_s,
            before.infer_s + more.infer_s,
            before.output_s + more.output_s,
        )
    return Usage(**sums, last_at=max(one.last_at, other.last_at), runs=runs)
