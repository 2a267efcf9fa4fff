"""What is written while a load runs, and becomes its outcomes."""

from __future__ import annotations

from array import array

import numpy as np

from benchmarks.open_loop.outcomes import UNANSWERED, Outcomes


class Columns:
    """One entry a request in each: typed arrays, which grow and cost less a write than NumPy's."""

    def __init__(self, due: list[float], stream: list[int]) -> None:
        self.due = array("d", due)
        self.stream = array("h", stream)
        self.sent = array("d", [float("nan")]) * len(due)
        self.ended = array("d", [float("nan")]) * len(due)
        self.status = array("h", [UNANSWERED]) * len(due)
        self.retry_after = bytearray(len(due))

    def add(self, due: float, stream: int) -> None:
        """One more request."""
        self.due.append(due)
        self.stream.append(stream)
        self.sent.append(float("nan"))
        self.ended.append(float("nan"))
        self.status.append(UNANSWERED)
        self.retry_after.append(0)

    def outcomes(self, count: int, began: float) -> Outcomes:
        """The first so many, in seconds since the load began, as they are due."""
        return Outcomes(
            np.array(self.due[:count]),
            np.array(self.sent[:count]) - began,
            np.array(self.ended[:count]) - began,
            np.array(self.status[:count], np.int16),
            np.frombuffer(self.retry_after[:count], np.bool_).copy(),
            np.array(self.stream[:count], np.int16),
        )
