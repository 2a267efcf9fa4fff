"""Joins the answer of a request that ran in several spans."""

from __future__ import annotations

from collections.abc import Sequence

from serving.errors import ModelFailed
from serving.inference import Answer, Buffer, Holder, Outputs, Request, Tensor


class LargeAnswers:
    """The large requests that are partly answered; a holder of theirs, so that one who leaves is forgotten.

    It stands for all batches that parts of a request fly in: each as a holder of its own made a request in 4,000 parts
    copy 8 million of them.
    """

    def __init__(self) -> None:
        self._collecting: dict[Request, LargeAnswer] = {}
        self._flying: dict[Request, dict[Holder, None]] = {}

    def boards(self, request: Request, flight: Holder) -> None:
        """A part of the request flies in this batch."""
        self._flying.setdefault(request, {})[flight] = None

    def landed(self, request: Request, flight: Holder) -> None:
        """The batch needs to be told of the request no more."""
        flying = self._flying.get(request)
        if flying is not None:
            flying.pop(flight, None)

    def add(self, request: Request, start: int, answer: Answer) -> Answer | ModelFailed | None:
        """Keep the answer of the span that begins at `start`; the whole answer when no row is missing any more.

        An error where the spans' answers do not fit together.
        """
        collecting = self._collecting.get(request)
        if collecting is None:
            collecting = self._collecting[request] = LargeAnswer(request.rows)
        return collecting.add(start, answer)

    def released(self, request: Request) -> None:
        """The request was answered or left."""
        self._collecting.pop(request, None)
        for flight in self._flying.pop(request, ()):
            flight.released(request)


class LargeAnswer:
    """Collects the spans of one request in any order and gives the whole answer with the last one."""

    def __init__(self, rows: int) -> None:
        self._missing = rows
        self._parts: list[tuple[int, Answer]] = []

    def add(self, start: int, answer: Answer) -> Answer | ModelFailed | None:
        """Keep the answer of the span that begins at row `start` of the request; None until all rows are there."""
        self._parts.append((start, answer))
        self._missing -= answer.stop - answer.start
        return None if self._missing else self._joined()

    def _joined(self) -> Answer | ModelFailed:
        self._parts.sort(key=lambda part: part[0])
        answers = [answer for _, answer in self._parts]
        first = answers[0]
        columns = list(zip(*(answer.tensors() for answer in answers), strict=True))
        for column in columns:
            shapes = {tensor.shape[1:] for tensor in column}
            if len(shapes) > 1:
                return ModelFailed(
                    f"output {column[0].name!r} of {first.key} has rows of shapes {sorted(shapes)} in parts of one "
                    "request; send fewer rows, so that they run together"
                )
        tensors = tuple(_join(column) for column in columns)
        return Answer(
            Outputs(tensors),
            0,
            sum(answer.stop - answer.start for answer in answers),
            whole=True,
            key=first.key,
            variant=first.variant,
            queue_s=first.queue_s,
            run_s=sum(answer.run_s for answer in answers),
        )


def _join(column: Sequence[Tensor]) -> Tensor:
    data: list[Buffer] = [tensor.data for tensor in column]
    rows = sum(tensor.shape[0] for tensor in column)
    first = column[0]
    return Tensor(first.name, first.datatype, (rows, *first.shape[1:]), b"".join(data))
