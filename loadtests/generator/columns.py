"""What is written while a load runs, and becomes its outcomes: in memory that other processes may look at."""

from __future__ import annotations

import mmap
from collections.abc import MutableSequence
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from loadtests.generator.outcomes import UNANSWERED, Outcomes

_NAN = float("nan")


class _Column(NamedTuple):
    """Its format in a memoryview, as NumPy says it, and its bytes an entry."""

    format: str
    dtype: str
    size: int


# Wide ones first, so that each begins where its type may.
_LAYOUT = {
    "due": _Column("d", "<f8", 8),
    "sent": _Column("d", "<f8", 8),
    "ended": _Column("d", "<f8", 8),
    "status": _Column("h", "<i2", 2),
    "stream": _Column("h", "<i2", 2),
    "variant": _Column("b", "i1", 1),
    "retry_after": _Column("B", "u1", 1),
}
ENTRY_BYTES = sum(column.size for column in _LAYOUT.values())
# Eight numbers before the columns that the generator tells while it runs.
_TOLD = 8
_TOLD_BYTES = _TOLD * 8
_STOP, _COUNT, _BEGAN, _LAG, _OFFERED = range(5)


def bytes_of(room: int) -> int:
    """How much memory columns of so many requests take."""
    return _TOLD_BYTES + max(1, room) * ENTRY_BYTES


class Columns:
    """One entry a request in each column, with room for so many requests.

    `memory` is shared with who looks on; without it the columns are the process's own. Plain views, since writing
    an entry of NumPy's arrays costs three times as much.
    """

    def __init__(self, room: int, memory: mmap.mmap | None = None, *, fresh: bool = True) -> None:
        self.room = max(1, room)
        self.memory = memory if memory is not None else mmap.mmap(-1, bytes_of(room))
        self.count = 0
        # Whether more is offered while the load runs.
        self.fed = False
        self._told = memoryview(self.memory)[:_TOLD_BYTES].cast("d")
        self.due = cast("MutableSequence[float]", self._view("due"))
        self.sent = cast("MutableSequence[float]", self._view("sent"))
        self.ended = cast("MutableSequence[float]", self._view("ended"))
        self.status = cast("MutableSequence[int]", self._view("status"))
        self.stream = cast("MutableSequence[int]", self._view("stream"))
        self.variant = cast("MutableSequence[int]", self._view("variant"))
        self.retry_after = cast("MutableSequence[int]", self._view("retry_after"))
        if fresh:
            self._told[_BEGAN] = _NAN

    def fill(self, due: NDArray[np.float64], stream: NDArray[np.intp]) -> None:
        """The whole load beforehand."""
        count = self.count = len(due)
        self.array("due")[:count] = due
        self.array("stream")[:count] = stream
        for name, value in (("sent", _NAN), ("ended", _NAN), ("status", UNANSWERED), ("variant", -1)):
            self.array(name)[:count] = value

    def add(self, due: float, stream: int) -> None:
        """One more request; who calls it knows that there is room."""
        number = self.count
        self.due[number] = due
        self.stream[number] = stream
        self.sent[number] = self.ended[number] = _NAN
        self.status[number] = UNANSWERED
        self.variant[number] = -1
        self.count = number + 1

    def offer(self, due: NDArray[np.float64], stream: NDArray[np.intp]) -> None:
        """More requests for a generator that is running; who calls it knows that there is room."""
        first, last = self.count, self.count + len(due)
        for name, value in (("sent", _NAN), ("ended", _NAN), ("status", UNANSWERED), ("variant", -1)):
            self.array(name)[first:last] = value
        self.array("due")[first:last] = due
        self.array("stream")[first:last] = stream
        self.count = last
        # Last, since the generator looks at what is offered and no further.
        self._told[_OFFERED] = last

    @property
    def offered(self) -> int:
        """How many requests there are by now, whoever offered them."""
        return int(self._told[_OFFERED])

    def array(self, name: str) -> NDArray[np.generic]:
        """One column as NumPy sees it, of the same memory."""
        begins = self._begins(name)
        return np.frombuffer(self.memory, _LAYOUT[name].dtype, self.room, begins)

    def outcomes(self, count: int, began: float, first: int = 0) -> Outcomes:
        """Copies of so many, from the first one on, in seconds since the load began, as they are due."""
        part = {name: self.array(name)[first:count].copy() for name in _LAYOUT}
        return Outcomes(
            part["due"].astype(np.float64),
            part["sent"].astype(np.float64) - began,
            part["ended"].astype(np.float64) - began,
            part["status"].astype(np.int16),
            part["retry_after"].astype(np.bool_),
            part["stream"].astype(np.int16),
            part["variant"].astype(np.int8),
        )

    @property
    def stopped(self) -> bool:
        """Whether who looks on wants no more to be sent."""
        return self._told[_STOP] > 0

    @property
    def left(self) -> bool:
        """Whether who looks on does not wait for the last answers either."""
        return self._told[_STOP] > 1

    def stop(self, *, at_once: bool = False) -> None:
        """Ask the generator to send no more, and `at_once` to leave what is still out."""
        self._told[_STOP] = 2.0 if at_once else 1.0

    @property
    def reached(self) -> int:
        """How many requests had their turn so far."""
        return int(self._told[_COUNT])

    @reached.setter
    def reached(self, count: int) -> None:
        self._told[_COUNT] = count

    @property
    def began(self) -> float:
        """The moment from which `due` counts; NaN before."""
        return self._told[_BEGAN]

    @began.setter
    def began(self, moment: float) -> None:
        self._told[_BEGAN] = moment

    @property
    def lag_s(self) -> float:
        """The longest that one turn of the generator's loop took."""
        return self._told[_LAG]

    @lag_s.setter
    def lag_s(self, seconds: float) -> None:
        self._told[_LAG] = seconds

    def _begins(self, name: str) -> int:
        before = 0
        for other, column in _LAYOUT.items():
            if other == name:
                break
            before += column.size
        return _TOLD_BYTES + before * self.room

    def _view(self, name: str) -> memoryview:
        begins = self._begins(name)
        column = _LAYOUT[name]
        part = memoryview(self.memory)[begins : begins + column.size * self.room]
        return cast("memoryview[int]", part.cast(column.format))  # type: ignore[call-overload] # one of the layout's
