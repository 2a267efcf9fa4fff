"""Requests of one batch whose outcome counts for a trial."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from serving.inference import Request, Tensor


class Judged:
    """In the batch's order: each request, its first row in the batch, and the inputs that it had until its answer.

    Lists side by side: a tuple for each request cost as much as counting it.
    """

    __slots__ = ("inputs", "requests", "rows")

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.rows: list[int] = []
        self.inputs: list[Sequence[Tensor]] = []

    def add(self, request: Request, row: int, inputs: Sequence[Tensor]) -> None:
        """One more."""
        self.requests.append(request)
        self.rows.append(row)
        self.inputs.append(inputs)

    def by_arm(self) -> Iterator[Judged]:
        """Those of each arm apart."""
        arm = self.requests[0].judged
        for request in self.requests:
            if request.judged is not arm:
                return iter(self._apart())
        # Mostly: what another version answered in its place is judged no more.
        return iter((self,))

    def _apart(self) -> list[Judged]:
        arms: dict[int, Judged] = {}
        for request, row, inputs in zip(self.requests, self.rows, self.inputs, strict=True):
            same = arms.get(id(request.judged))
            if same is None:
                same = arms[id(request.judged)] = Judged()
            same.add(request, row, inputs)
        return list(arms.values())
