"""Whether a contender's answers are right: many callers at once, each answer compared with onnxruntime's own."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from typing import Any

import numpy as np

from benchmarks.asking import Failed, asker
from benchmarks.encodings import Reply
from benchmarks.workload import Workload

# Batches round in another order than single rows; a swapped row differs in the first digits.
RELATIVE = 1e-4
ABSOLUTE = 1e-5
CHECKED = 200


@dataclass(slots=True)
class Checked:
    """`wrong` counts answers that differ, `failed` those without any; the first of each is kept as text."""

    answers: int = 0
    wrong: int = 0
    failed: int = 0
    largest_difference: float = 0.0
    examples: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Every answer came and was right."""
        return self.answers > 0 and not self.wrong and not self.failed

    def as_json(self) -> dict[str, Any]:
        """For the results file."""
        return asdict(self)


def check(port: int, workload: Workload, callers: int = 16) -> Checked:
    """Ask for every row of the workload, from so many threads with connections of their own."""
    seen = Checked()
    lock = threading.Lock()
    rows = range(min(CHECKED, len(workload.rows)))
    threads = [
        threading.Thread(target=_ask, args=(port, workload, rows[i::callers], seen, lock)) for i in range(callers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen


def _ask(port: int, workload: Workload, rows: Iterable[int], seen: Checked, lock: threading.Lock) -> None:
    connection = asker(port, workload)
    for row in rows:
        try:
            reply = connection.ask(workload, row)
        except Failed as error:
            reply = Reply(0, {}, repr(error).encode())
            connection.close()
        with lock:
            _compare(workload, row, reply, seen)
    connection.close()


def _compare(workload: Workload, row: int, reply: Reply, seen: Checked) -> None:
    if reply.status != HTTPStatus.OK:
        seen.failed += 1
        seen.examples[2:] = []
        seen.examples.append(f"row {row}: {reply.status} {reply.body[:200]!r}")
        return
    seen.answers += 1
    difference = difference_from(workload, row, reply)
    seen.largest_difference = max(seen.largest_difference, difference)
    if difference > 1:
        seen.wrong += 1
        seen.examples[2:] = []
        seen.examples.append(f"row {row}: {reply.body[:200]!r}")


def difference_from(workload: Workload, row: int, reply: Reply) -> float:
    """The largest difference in units of what is tolerated: over 1 is wrong; infinite where the form is."""
    try:
        given = workload.given(reply)
    except (KeyError, IndexError, TypeError, ValueError):
        return float("inf")
    wanted = workload.wanted(row)
    if [values.shape for values in given] != [values.shape for values in wanted]:
        return float("inf")
    tolerated = [ABSOLUTE + RELATIVE * np.abs(values) for values in wanted]
    differences = [np.abs(g - w) / t for g, w, t in zip(given, wanted, tolerated, strict=True)]
    largest = float(max(part.max() for part in differences))
    # A value that is no number compares as neither larger nor smaller.
    return float("inf") if math.isnan(largest) else largest
