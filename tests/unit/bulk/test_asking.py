"""Rows are asked for until they are answered; what is refused is found row by row."""

from __future__ import annotations

import http.client
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.bulk.answer import Answered
from serving.bulk.asking import Asker, Part, Reply, Stopping
from serving.bulk.encoding import Body
from serving.bulk.stopped import BulkStopped
from tests.unit.bulk.gateways import FakeGateway, Fate, Stop, asker_of, body_of, read, shared_of

ROWS = list(range(100, 164))
AWAY = st.sampled_from(
    [503, 429, 502, 504, ConnectionRefusedError(), ConnectionResetError(), http.client.BadStatusLine("")]
)


class Renamed:
    """A gateway that no longer has the model."""

    def ask(self, body: Body) -> Reply:
        return Reply(404, {}, b'{"error": "there is no model"}')


def asked(fate: Fate, rows: Sequence[int] = ROWS, stop: Stop | None = None, **headers: str) -> list[Part]:
    gateway = FakeGateway(fate, {name.replace("_", "-"): value for name, value in headers.items()})
    return asker_of(gateway, shared_of(stop)).ask(body_of, rows)


def doubled(parts: list[Part]) -> dict[int, int]:
    found: dict[int, int] = {}
    for part in parts:
        if part.answered is not None:
            found |= dict(zip(part.rows, part.answered.columns["y"].to_pylist(), strict=True))
    return found


@given(bad=st.sets(st.sampled_from(ROWS)), status=st.sampled_from([400, 404, 413, 422, 500]))
def test_exactly_the_rows_that_a_gateway_refuses_are_refused(bad: set[int], status: int) -> None:
    parts = asked(lambda rows: status if bad & set(rows) else 200)
    assert [row for part in parts for row in part.rows] == ROWS
    assert {row for part in parts if part.answered is None for row in part.rows} == bad
    assert doubled(parts) == {row: 2 * row for row in ROWS if row not in bad}
    assert all(f"no {status}" in part.reason for part in parts if part.answered is None)


@given(away=st.lists(AWAY, max_size=8))
def test_a_gateway_that_is_away_or_full_costs_no_row(away: list[int | Exception]) -> None:
    left = list(away)
    parts = asked(lambda _rows: left.pop() if left else 200)
    assert doubled(parts) == {row: 2 * row for row in ROWS}
    assert [row for part in parts for row in part.rows] == ROWS


def test_one_bad_row_costs_few_requests() -> None:
    gateway = FakeGateway(lambda rows: 400 if 117 in rows else 200)
    asker_of(gateway, shared_of()).ask(body_of, ROWS)
    assert len(gateway.sent) == 1 + 2 * 6


def test_rows_that_took_too_long_are_asked_again_in_halves() -> None:
    gateway = FakeGateway(lambda rows: 504 if len(rows) > 16 else 200)
    assert doubled(asker_of(gateway, shared_of()).ask(body_of, ROWS)) == {row: 2 * row for row in ROWS}
    assert [len(rows) for rows in gateway.sent] == [64, 32, 16, 16, 32, 16, 16]


def test_more_rows_than_ever_fit_are_not_sent_again() -> None:
    shared = shared_of(most=64)
    shared.pace.rows = 64
    asker_of(FakeGateway(lambda rows: 413 if len(rows) > 16 else 200), shared).ask(body_of, ROWS)
    assert shared.rows() <= 31


def test_it_waits_as_long_as_it_is_told() -> None:
    stop, left = Stop(), [503, 503]
    asked(lambda _rows: left.pop() if left else 200, stop=stop, retry_after="7")
    assert len(stop.pauses) == 2
    assert all(7 <= pause <= 10.5 for pause in stop.pauses)


def test_who_is_told_to_wait_for_longer_than_its_patience_asks_once_more_at_its_end() -> None:
    stop = Stop()
    with pytest.raises(BulkStopped, match="answered 503 for 60 s"):
        asked(lambda _rows: 503, [1], stop, retry_after="86400")
    assert stop.pauses == [60.0]


@pytest.mark.parametrize("told", ["inf", "-inf", "nan", "-5", "1e999", "soon", "Fri, 31 Dec 1999 23:59:59 GMT"])
def test_what_is_no_time_to_wait_is_answered_with_pauses_of_its_own(told: str) -> None:
    stop, left = Stop(), [503, 503]
    asked(lambda _rows: left.pop() if left else 200, stop=stop, retry_after=told)
    assert len(stop.pauses) == 2
    assert all(0 < pause < 1 for pause in stop.pauses)


@pytest.mark.parametrize(
    ("fate", "unreachable"), [(503, False), (ConnectionRefusedError(111, "Connection refused"), True)]
)
def test_it_gives_up_when_its_patience_ends_and_not_before(fate: int | Exception, unreachable: bool) -> None:
    stop = Stop()
    with pytest.raises(BulkStopped) as stopped:
        asked(lambda _rows: fate, [1], stop)
    assert stopped.value.unreachable == unreachable
    assert 60 <= stop.now < 68


@pytest.mark.parametrize("status", [401, 403, 405, 501])
def test_what_says_nothing_of_the_rows_ends_the_run(status: int) -> None:
    with pytest.raises(BulkStopped, match=f"answered {status}: no {status}"):
        asked(lambda _rows: status)


def test_an_unknown_model_is_no_fault_of_the_rows() -> None:
    with pytest.raises(BulkStopped, match="answered 404: there is no model"):
        Asker(Renamed(), read, shared_of()).ask(body_of, ROWS)


def test_an_answer_that_cannot_be_read_ends_the_run() -> None:
    def read_nothing(_reply: Reply, _rows: int) -> Answered:
        raise KeyError("outputs")

    with pytest.raises(BulkStopped, match="cannot be read"):
        Asker(FakeGateway(lambda _rows: 200), read_nothing, shared_of()).ask(body_of, ROWS)


def test_who_is_asked_to_stop_sends_nothing_more() -> None:
    stop = Stop()
    stop.set()
    gateway = FakeGateway(lambda _rows: 200)
    with pytest.raises(Stopping):
        asker_of(gateway, shared_of(stop)).ask(body_of, ROWS)
    assert gateway.sent == []
