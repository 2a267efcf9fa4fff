"""A batch on its way: stacked, run, delivered, and called back when nobody waits for it any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from serving.batching.large_answer import LargeAnswers
from serving.batching.row_queue import Span
from serving.errors import ReplicaLost, ServingError
from serving.inference import Answer, Batch, Buffer, Outputs, Request, Stacked, Tensor
from serving.observation import BatchSeen, Flown, RequestWatch
from serving.request_path import trials
from serving.request_path.intake import Given
from serving.request_path.judged import Judged
from serving.request_path.tallies import Took
from serving.request_path.variants import Variant


class Flight:
    """One batch of one variant, of which `observe` is told once; every method runs on the loop's thread.

    `whole` where its one request runs as it is, without rows.
    """

    __slots__ = (
        "_abandoned",
        "_clock",
        "_landed",
        "_large",
        "_leads",
        "_observe",
        "_task",
        "_waiting",
        "_watch",
        "ended_at",
        "spans",
        "taken_at",
        "variant",
        "whole",
    )

    def __init__(  # noqa: PLR0913, PLR0917 - what a batch needs on its way, made once for each
        self,
        variant: Variant,
        spans: list[Span],
        clock: Callable[[], float],
        large: LargeAnswers,
        observe: Callable[[BatchSeen], None],
        watch: RequestWatch | None = None,
    ) -> None:
        self.variant = variant
        self.spans = spans
        self.whole = not variant.hosted.batchable or type(spans[0].request.group) is Given
        self.taken_at = self.ended_at = clock()
        self._clock = clock
        self._large = large
        self._observe = observe
        self._watch = watch
        self._waiting = len(spans)
        self._task: asyncio.Task[None] | None = None
        self._landed = False
        self._abandoned = False
        self._leads = False

    async def run(self, *, alone: bool = False) -> Outputs | None:
        """The batch's outputs; None when every caller left or ran out of time before they came."""
        self._board()
        self._task = asyncio.current_task()
        try:
            return await self.variant.backend.run(self._batch(alone=alone))
        except asyncio.CancelledError:
            if not self._abandoned or self._task is None:
                raise
            self._task.uncancel()
            return None
        except ReplicaLost as lost:
            if lost.started:
                trials.crashed([request for request, _, _ in self.spans], self.variant.name)
            raise
        finally:
            # From here on a reply must not call the batch back.
            self._landed = True
            self.ended_at = self._clock()

    def land(self, outputs: Outputs) -> None:
        """Give each caller its rows; one who left, or whose edge fails, never affects the others."""
        landed_at = self.ended_at
        run_s = landed_at - self.taken_at
        key, name, whole = self.variant.key, self.variant.name, self.whole
        row = 0
        answered: list[Request] = []
        judged: Judged | None = None
        for request, start, stop in self.spans:
            end = row + stop - start
            if request.waiting:
                if request.judged is not None and stop == request.rows:
                    # Of one that ran in parts the last one is no copy's twin.
                    if judged is None:
                        judged = Judged()
                    judged.add(request, row, request.inputs if not start else ())
                queue_s = self.taken_at - request.queued_at
                part = Answer(outputs, row, end, whole, key, name, queue_s, run_s)
                answer: Answer | ServingError | None = part
                if stop - start != request.rows:
                    self._large.landed(request, self)
                    answer = self._large.add(request, start, part)
                if answer is not None:
                    request.reply(answer)
                    answered.append(request)
            row = end
        if judged is not None:
            trials.answered(judged, outputs, self._took(outputs, run_s, self._rows_run(row, judged.inputs[0])))
        self._tell_pace(outputs, row)
        seen = self._tell(answered, row, landed_at, run_s, "ok")
        if self._watch is not None and answered:
            ran = (outputs.run_s, outputs.waited_s, outputs.replica)
            self._watch.batch_answered(seen, Flown(answered, self.taken_at, landed_at, self._clock(), *ran))

    def fail(self, error: ServingError) -> None:
        """Tell every caller of the batch the same, perhaps long after it ran: other parts were tried meanwhile."""
        told_at, ended_at = self._clock(), self.ended_at
        answered = [request for request, _, _ in self.spans if request.waiting]
        for request in answered:
            trials.failed(request, error)
            request.reply(error)
        if answered:
            rows = sum([stop - start for _, start, stop in self.spans])
            seen = self._tell(answered, rows, told_at, ended_at - self.taken_at, error.reason)
            if self._watch is not None:
                self._watch.batch_answered(seen, Flown(answered, self.taken_at, ended_at, self._clock()))

    def released(self, request: Request) -> None:
        """A caller left or ran out of time; when the last one did, the run is called back and its slot is free."""
        del request
        self._waiting -= 1
        if not self._waiting and not self._landed and self._task is not None:
            self._abandoned = True
            self._task.cancel()

    def waiting_spans(self) -> list[Span]:
        """The spans whose caller is still there."""
        return [span for span in self.spans if span.request.waiting]

    def _board(self) -> None:
        whole = (*self.variant.holders, self)
        # Settled before it runs, so that how long it takes has no say in it.
        self._leads = trials.leads(self.spans[0].request, self.taken_at)
        for request, start, stop in self.spans:
            request.taken_at = self.taken_at
            if stop - start == request.rows:
                request.holders = whole
            else:
                self._large.boards(request, self)

    def _rows_run(self, taken: int, inputs: Sequence[Tensor]) -> int:
        """Rows of the run by what was sent: what runs as it is was taken as one, however long it is."""
        if not self.whole or not self.variant.hosted.batchable or not inputs or not inputs[0].shape:
            return taken
        return max(1, inputs[0].shape[0])

    def _tell_pace(self, outputs: Outputs, rows: int) -> None:
        pace = self.variant.batcher.pace
        first, _, stop = self.spans[0]
        # The whole request was predicted: its other parts come early and would hide that the last one is late.
        if first.predicted_s and stop == first.rows:
            pace.judged(first.predicted_s, self.ended_at - first.queued_at, first.timeout_s)
        if outputs.run_s:
            pace.saw(1 if self.whole else rows, outputs.run_s)

    def _took(self, outputs: Outputs, run_s: float, rows: int) -> Took:
        # Beside the loop a run waits for cores and for the interpreter, and a small batch suffers more of that: a
        # version would be told to be slow for its share.
        return Took(outputs.worked_s or outputs.run_s or run_s, self.ended_at, rows, self._leads)

    def _batch(self, *, alone: bool) -> Batch:
        spans = self.spans
        rows = 0 if self.whole else sum([stop - start for _, start, stop in spans])
        work_s, late_s = self.variant.batcher.expected_s(spans[0].request, rows or 1)
        group = spans[0].request.group
        return Batch(
            self.variant.key,
            _stack(spans, rows),
            rows,
            max([request.deadline_s for request, _, _ in spans]),
            alone,
            group.bits if type(group) is Given else 0,
            work_s,
            late_s,
        )

    def _tell(self, answered: list[Request], rows: int, landed_at: float, run_s: float, outcome: str) -> BatchSeen:
        # A batch in the middle of a large request answers nobody yet, and has run all the same.
        now, taken_at = self._clock(), self.taken_at
        seen = BatchSeen(
            self.variant.key,
            self.variant.name,
            rows,
            [request.accepted_at - request.received_at for request in answered],
            [taken_at - request.queued_at for request in answered],
            run_s,
            now - landed_at,
            [now - request.received_at for request in answered],
            outcome,
            [request.queued_at - request.accepted_at - request.features_s for request in answered],
            [request.features_s for request in answered if request.entities is not None],
            self.variant.batcher.gate.due_at(self.spans[0].request) - taken_at,
        )
        self._observe(seen)
        return seen


def _stack(spans: list[Span], rows: int) -> tuple[Stacked, ...]:
    first = spans[0].request
    stacked = []
    for position, tensor in enumerate(first.inputs):
        shape = (rows, *tensor.shape[1:]) if rows else tensor.shape
        parts: list[Buffer] = [
            request.inputs[position].data
            if stop - start == request.rows
            else request.inputs[position].rows(start, stop)
            for request, start, stop in spans
        ]
        stacked.append(Stacked(tensor.name, tensor.datatype, shape, parts))
    return tuple(stacked)
