"""A line for each error and a share of the rest, by names that find it again, and without what was asked."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest

from serving.errors import DeadlineExceeded, UnknownModel
from serving.inference import CallerContext, Request, VersionKey
from serving.observation import BatchSeen, Flown
from serving.telemetry.access_log import MOST_PER_S, AccessLog, LineWriter
from serving.telemetry.recorder import Recorder
from serving.telemetry.watch import Watch, WatchedObserver
from tests.unit.telemetry.tracing.bench import TRACE, Nobody, asked_for, request

KEY = VersionKey("m", 3)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The facts of each line, as they are written."""
    caplog.set_level("INFO", "serving.access")

    class Lines(list[dict[str, Any]]):
        def __iter__(self) -> Any:
            return iter([record.facts for record in caplog.records])  # type: ignore[attr-defined]

        def __len__(self) -> int:
            return len(caplog.records)

    return Lines()


def access_log(share: float) -> AccessLog:
    return AccessLog(share, lambda: 0.5, itertools.count(1.0).__next__)


def answered(log: AccessLog, *requests: Request, outcome: str = "ok", traced: dict[Request, str] | None = None) -> None:
    times = [0.01] * len(requests)
    seen = BatchSeen(KEY, "stable", len(requests), times, [0.001] * len(requests), 0.004, 0.0, times, outcome)
    log.batch_answered(seen, Flown(list(requests), 0.004, 0.008, 0.01), traced or {})


def test_a_line_names_the_request_its_trace_and_its_times(lines: list[dict[str, Any]]) -> None:
    one = request(CallerContext(request_id=b"r-17"))
    answered(access_log(1.0), one, traced={one: TRACE})
    assert list(lines) == [
        {
            "outcome": "ok",
            "request_id": "r-17",
            "trace_id": TRACE,
            "model": "m",
            "version": 3,
            "variant": "stable",
            "rows": 1,
            "total_ms": 10.0,
            "queue_ms": 1.0,
            "run_ms": 4.0,
        }
    ]


def test_a_trace_that_goes_on_without_us_is_named_too(lines: list[dict[str, Any]]) -> None:
    answered(access_log(1.0), request(asked_for("00")))
    assert [line["trace_id"] for line in lines] == [TRACE]


def test_of_answers_a_share_has_a_line_and_errors_always(lines: list[dict[str, Any]]) -> None:
    log = access_log(0.0)
    answered(log, request(), request())
    assert not lines
    answered(log, request(), request(), outcome="model_failed")
    log.refused(request(), DeadlineExceeded("late"), 0.05, "")
    assert [line["outcome"] for line in lines] == ["model_failed", "model_failed", "deadline_exceeded"]


def test_an_error_outside_of_a_batch_names_the_variant_that_was_chosen(lines: list[dict[str, Any]]) -> None:
    one = request()
    one.variant = "canary"
    access_log(0.0).refused(one, DeadlineExceeded("late"), 0.5, "")
    assert [(line["version"], line["variant"]) for line in lines] == [(3, "canary")]


def test_a_name_that_no_route_has_is_in_no_line(lines: list[dict[str, Any]]) -> None:
    stranger = Request("the caller's own text", (), Nobody(), 0.0)
    access_log(0.0).refused(stranger, UnknownModel("no such model"), 0.05, "")
    assert list(lines) == [{"outcome": "unknown_model", "total_ms": 50.0}]


def test_what_an_edge_refuses_is_counted_and_has_a_line(lines: list[dict[str, Any]]) -> None:
    recorder = Recorder()
    observer = WatchedObserver(recorder, Watch(None, access_log(0.0)))
    observer.refused("m", "too_large")
    observer.refused("", "unknown_path", asked_for("00", name=b"r-17"))
    assert list(lines) == [
        {"outcome": "too_large", "model": "m"},
        {"outcome": "unknown_path", "request_id": "r-17", "trace_id": TRACE},
    ]
    assert [labels[-1] for _, labels, _ in recorder.snapshot()["counters"]] == ["too_large", "unknown_path"]


def test_too_many_lines_are_left_out_and_counted(lines: list[dict[str, Any]]) -> None:
    now = [1.0]
    log = AccessLog(0.0, lambda: 0.5, lambda: now[0])
    for _ in range(int(MOST_PER_S) + 30):
        log.turned_away("", "overloaded", None, "")
    assert len(lines) == MOST_PER_S
    now[0] += 1.0
    log.turned_away("", "overloaded", None, "")
    assert list(lines)[-1] == {"outcome": "overloaded", "left_out": 30}


def test_nothing_is_made_of_what_is_left_out(lines: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    log = AccessLog(1.0, lambda: 0.5, lambda: 1.0)
    for _ in range(int(MOST_PER_S)):
        log.turned_away("", "overloaded", None, "")
    made: list[object] = []

    def names(*of: object) -> dict[str, Any]:
        made.append(of)
        return {}

    monkeypatch.setattr("serving.telemetry.access_log._names", names)
    log.turned_away("m", "overloaded", asked_for(), "")
    log.refused(request(), DeadlineExceeded("late"), 0.05, "")
    answered(log, request(), outcome="model_failed")
    assert (made, log._left_out, len(lines)) == ([], 3, MOST_PER_S)


async def test_a_reader_who_stalls_holds_up_nobody_and_what_has_no_room_is_counted() -> None:
    reads, written = threading.Event(), list[dict[str, Any]]()

    def write(facts: Any) -> None:
        assert reads.wait(10)
        written.append(facts)

    writer = LineWriter(write)
    writer.start()
    log = AccessLog(0.0, lambda: 0.5, itertools.count(1.0).__next__, writer.offer)
    for _ in range(1_003):
        log.turned_away("", "overloaded", None, "")
    reads.set()
    await writer.stop()
    # One may be in the writer's hand, so that another had room.
    kept = len(written)
    assert kept in {1_000, 1_001}
    again = LineWriter(write)
    again.start()
    log._write_line = again.offer
    log.turned_away("", "overloaded", None, "")
    await again.stop()
    assert written[-1]["left_out"] == 1_003 - kept
