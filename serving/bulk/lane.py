"""The bulk lane: reads a table, asks for its rows a few requests at a time, and keeps the answers in order."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from functools import partial

from serving.bulk.asking import Asker, Part, Shared, Stopping
from serving.bulk.column_fit import ColumnFit
from serving.bulk.encoding import Encoded, encode
from serving.bulk.model_form import ModelForm
from serving.bulk.records import record
from serving.bulk.senders import Senders
from serving.bulk.state import State
from serving.bulk.stopped import BulkStopped
from serving.bulk.table_input import TableInput
from serving.bulk.values import Bad

# Answers are on disk this soon; what is lost by a kill is asked again.
_SAVE_EVERY_S = 1.0
# A request is no larger than this, whatever the pace: JSON up to it is read in the gateway's own process.
_MOST_BYTES = 1 << 20
_MOST_JSON_BYTES = 200 << 10
# How long an end waits for what is in flight.
_GRACE_S = 2.0
_LOOK_EVERY_S = 0.2
# A file of which this many rows, and no other, were refused from the start is the wrong file.
_MOST_FIRST_REFUSED = 1_000

Seen = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Job:
    """A table, what is asked of it, and whether a row that is refused ends it."""

    table: TableInput
    form: ModelForm
    fit: ColumnFit
    limit: int | None = None
    reject: bool = False


@dataclass(slots=True)
class _Chunk:
    """Rows `start` to `stop` of a block, which are asked for together; `before` rows of the file come first."""

    encoded: Encoded
    before: int
    start: int
    stop: int
    asked: Future[list[Part]] = field(default_factory=Future)

    @property
    def bad(self) -> Bad:
        """Rows that cannot be sent, counted from the chunk's first."""
        return {row - self.start: why for row, why in self.encoded.bad.items() if self.start <= row < self.stop}

    def good(self) -> Sequence[int]:
        """Rows that are sent."""
        rows = range(self.start, self.stop)
        return [row for row in rows if row not in self.encoded.bad] if self.encoded.bad else rows


class Lane:
    """One run over one table; what it learned is in `state`, from where it goes on."""

    def __init__(self, job: Job, state: State, senders: Senders, shared: Shared) -> None:
        self.job = job
        self.state = state
        self._senders = senders
        self.shared = shared
        self._saved_at = time.monotonic()

    def run(self, seen: Seen) -> None:
        """Ask for all rows that have no answer yet.

        Raises:
            BulkStopped: it was asked to stop, the gateway is away for too long, or a row is refused that may not be.
        """
        pending: deque[_Chunk] = deque()
        try:
            for chunk in self._chunks():
                if len(pending) >= 2 * self._senders.count:
                    self._settle(pending.popleft(), seen)
                pending.append(chunk)
                chunk.asked = self._senders.submit(partial(_ask, chunk))
            while pending:
                self._settle(pending.popleft(), seen)
        except Stopping:
            raise BulkStopped("stopped", interrupted=True) from None
        finally:
            self.state.save()

    def _chunks(self) -> Iterator[_Chunk]:
        limit = self.job.limit
        done = self.state.progress.rows
        if limit is not None and done >= limit:
            return
        for block in self.job.table.blocks(done, self.job.fit.taken):
            encoded = encode(self.job.fit, block.rows)
            encoded.bad.update(block.bad)
            left = block.rows.num_rows if limit is None else min(block.rows.num_rows, limit - done)
            start = 0
            while start < left:
                stop = min(left, start + self._rows(encoded, start, left))
                yield _Chunk(encoded, done, start, stop)
                start = stop
            done += left
            if done == limit:
                return

    def _rows(self, encoded: Encoded, start: int, left: int) -> int:
        """Rows of the next request; the bytes of a row are those of a sample."""
        if self.job.form.max_rows == 0:
            return 1
        rows = self.shared.rows()
        if sample := next(([row] for row in range(start, left) if row not in encoded.bad), None):
            most = _MOST_BYTES if self.job.fit.inputs else _MOST_JSON_BYTES
            rows = min(rows, max(1, most // encoded.body(sample).size))
        return rows

    def _settle(self, chunk: _Chunk, seen: Seen) -> None:
        """Keep the answers of a chunk, once they are there."""
        parts = [_from(chunk.start, part) for part in self._result(chunk)]
        bad = chunk.bad | {row: part.reason for part in parts if part.answered is None for row in part.rows}
        first = min(bad, default=None)
        why = "" if first is None else f"row {chunk.before + chunk.start + first + 1:,}: {bad[first]}"
        if why and not self.job.reject:
            raise BulkStopped(f"{why}; --rejects FILE puts such rows there and goes on")
        rows = chunk.stop - chunk.start
        self.state.add(record(self.job.form, rows, parts, chunk.bad), len(bad), why)
        progress = self.state.progress
        if progress.rejected == progress.rows >= _MOST_FIRST_REFUSED:
            raise BulkStopped(f"not one of the first {progress.rows:,} rows was taken; {progress.first}")
        seen(progress.rows)
        now = time.monotonic()
        if now - self._saved_at > _SAVE_EVERY_S:
            self.state.save()
            self._saved_at = now

    def _result(self, chunk: _Chunk) -> list[Part]:
        waited_s = 0.0
        while not wait([chunk.asked], _LOOK_EVERY_S).done:
            waited_s += _LOOK_EVERY_S if self.shared.stop.is_set() else 0.0
            if waited_s > _GRACE_S:
                raise Stopping
        return chunk.asked.result()


def _ask(chunk: _Chunk, asker: Asker) -> list[Part]:
    rows = chunk.good()
    return asker.ask(chunk.encoded.body, rows) if rows else []


def _from(start: int, part: Part) -> Part:
    return Part([row - start for row in part.rows], part.answered, part.reason)
