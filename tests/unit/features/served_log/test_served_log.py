"""What the loop does for the served-feature log, and what it never waits for."""

from __future__ import annotations

import threading

from serving.errors import ModelFailed, ServingError
from serving.features.plan import ReadPlan
from serving.features.served_log.entry import Entry
from serving.features.served_log.served_log import ServedLog
from serving.inference import Answer, Request
from tests.unit.features.served_log.served import entry_of
from tests.unit.features.test_plan import INSTANCE


class Memory:
    """A writer that keeps entries; it stands still until `disk` is set."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.disk = threading.Event()
        self.reached = threading.Event()
        self.closed = False
        self.hurried = False
        self.written = 0
        self.lost = 0

    def write(self, entry: Entry) -> None:
        self.reached.set()
        self.disk.wait()
        self.entries.append(entry)
        self.written += entry.seen.rows.count

    def hurry(self) -> None:
        self.hurried = True

    def turn(self) -> None:
        """Nothing ages."""

    def close(self) -> None:
        self.closed = True


class Caller:
    def __init__(self) -> None:
        self.outcomes: list[Answer | ServingError] = []

    def answered(self, request: Request, outcome: Answer | ServingError) -> None:
        self.outcomes.append(outcome)


def log_of(writer: Memory, *, sample: float = 1.0, chance: float = 0.5, most_rows: int = 3) -> ServedLog:
    return ServedLog(writer, sample, lambda: chance, most_rows)


def answered(log: ServedLog, entry: Entry, outcome: Answer | ServingError | None = None) -> Caller:
    caller = Caller()
    request = Request("late", (), caller, 0.0)
    log.seen(request, entry.seen)
    request.reply(entry.answer if outcome is None else outcome)
    return caller


def test_an_answered_request_is_written(plan: ReadPlan) -> None:
    writer = Memory()
    writer.disk.set()
    log = log_of(writer)
    entry = entry_of(plan, INSTANCE)
    assert answered(log, entry).outcomes == [entry.answer]
    log.drain()
    assert writer.entries == [entry]
    assert (log.written, log.dropped) == (1, 0)


def test_what_its_files_lost_is_dropped_too(plan: ReadPlan) -> None:
    writer = Memory()
    log = log_of(writer)
    for _ in range(4):
        answered(log, entry_of(plan, INSTANCE))
    writer.lost = 2
    assert log.dropped == 3


def test_only_the_sample_is_kept(plan: ReadPlan) -> None:
    writer = Memory()
    writer.disk.set()
    log = log_of(writer, sample=0.5, chance=0.5)
    assert len(answered(log, entry_of(plan, INSTANCE)).outcomes) == 1
    log.drain()
    assert not writer.entries


def test_an_error_is_answered_and_not_logged(plan: ReadPlan) -> None:
    writer = Memory()
    writer.disk.set()
    log = log_of(writer)
    error = ModelFailed("no")
    assert answered(log, entry_of(plan, INSTANCE), error).outcomes == [error]
    log.drain()
    assert not writer.entries


def test_a_request_that_another_version_answers_is_one_entry_with_what_that_one_read(plan: ReadPlan) -> None:
    writer = Memory()
    writer.disk.set()
    log = log_of(writer)
    first, second = entry_of(plan, INSTANCE), entry_of(plan, INSTANCE)
    caller = Caller()
    request = Request("late", (), caller, 0.0)
    log.seen(request, first.seen)
    log.seen(request, second.seen)
    request.reply(second.answer)
    log.drain()
    assert len(caller.outcomes) == 1
    assert [entry.seen for entry in writer.entries] == [second.seen]


async def test_a_disk_that_stands_still_delays_no_answer_and_counts_drops(plan: ReadPlan) -> None:
    writer = Memory()
    log = log_of(writer)
    log.start()
    callers = [answered(log, entry_of(plan, INSTANCE))]
    assert writer.reached.wait(30)
    # The thread is in the middle of a write, which never ends while all of these are answered.
    callers += [answered(log, entry_of(plan, INSTANCE)) for _ in range(9)]
    assert all(len(caller.outcomes) == 1 for caller in callers)
    assert (log.written, log.dropped) == (0, 7)
    writer.disk.set()
    await log.stop()
    assert (log.written, log.dropped, writer.closed, writer.hurried) == (3, 7, True, True)


def test_files_age_also_where_requests_come_faster_than_they_are_written(plan: ReadPlan) -> None:
    class Busy(Memory):
        """While it writes one, another is answered."""

        def write(self, entry: Entry) -> None:
            super().write(entry)
            if len(self.entries) < 100:
                answered(log, entry_of(plan, INSTANCE))

    writer = Busy()
    writer.disk.set()
    log = log_of(writer)
    answered(log, entry_of(plan, INSTANCE))
    log.drain()
    assert len(writer.entries) == 1, "it comes back to its thread, which looks at the time"
