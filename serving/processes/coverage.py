"""Which worker accepts from which listener: decided anew after every change, so that no listener is left alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class WorkerView:
    """What the decision knows of a worker.

    `up`: it can accept and would answer; `ready`: it has been able to predict; `leaving`: it drains or has ended;
    `serving`: the slots it accepts on now.
    """

    name: int
    slot: int
    up: bool
    ready: bool
    leaving: bool = False
    serving: frozenset[int] = field(default_factory=frozenset)


def covered(slots: int, workers: Collection[WorkerView]) -> dict[int, set[int]]:
    """For each worker that does not leave, the slots it is to accept on.

    Every slot is accepted by exactly one worker as long as one is up: by its own newest worker once that is ready,
    until then by another one that is ready (the one that already does, else the least busy), else by its own.
    """
    present = [worker for worker in workers if worker.up and not worker.leaving]
    wanted: dict[int, set[int]] = {worker.name: set() for worker in present}
    if not present:
        return wanted
    orphans = []
    for slot in range(slots):
        own = _newest(worker for worker in present if worker.slot == slot and worker.ready)
        if own is None:
            orphans.append(slot)
        else:
            wanted[own.name].add(slot)
    for slot in orphans:
        wanted[_substitute(slot, present, wanted).name].add(slot)
    return wanted


def _newest(workers: Iterable[WorkerView]) -> WorkerView | None:
    return max(workers, key=lambda worker: worker.name, default=None)


def _substitute(slot: int, present: list[WorkerView], wanted: dict[int, set[int]]) -> WorkerView:
    return max(
        present,
        key=lambda worker: (
            worker.ready,
            worker.slot == slot,
            slot in worker.serving,
            -len(wanted[worker.name]),
            worker.name,
        ),
    )
