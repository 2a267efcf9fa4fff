"""The load client is a witness in other tests: what it reports of a server that misbehaves is true."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from serving.testing.load_client import Load, Question, Report, running
from tests.integration.served_on_a_thread import Connected, served

RESET = 1
SILENT = 2
WRONG = 3
BUSY = 4
LAST = 5
# A client that does not get a processor for half a second has not met a server that hangs.
PATIENCE_S = 2.0


class Misbehaving(Connected):
    """Answers a number with the same number, but for those above."""

    def data_received(self, data: bytes) -> None:
        number = int(data.rpartition(b"\r\n\r\n")[2])
        if number == RESET:
            self.transport.abort()
        elif number != SILENT:
            said = 99 if number == WRONG else number
            status = "503 Busy" if number == BUSY else "200 OK"
            close = "connection: close\r\n" if number == LAST else ""
            head = f"HTTP/1.1 {status}\r\n{close}content-length: {len(str(said))}\r\n\r\n"
            # In two pieces, as a network may have it.
            self.transport.write(head.encode())
            asyncio.get_running_loop().call_soon(self.transport.write, str(said).encode())


@pytest.fixture
def port() -> Iterator[int]:
    with served(Misbehaving) as port:
        yield port


def number(value: int) -> Question:
    return Question("/", str(value).encode(), lambda body: body == str(value).encode())


def asked(load: Load) -> Report:
    with running(load) as client:
        return client.ended()


@pytest.mark.parametrize("rate", [500.0, None])
@pytest.mark.parametrize("fresh", [True, False])
def test_each_kind_of_failure_is_told_from_the_others(port: int, rate: float | None, fresh: bool) -> None:
    report = asked(Load(port, number, most=50, for_s=10, rate=rate, callers=4, fresh=fresh, patience_s=PATIENCE_S))
    assert report.asked == 50
    assert len(report.good) == 46
    assert report.by_status() == {"none": 2, "200": 1, "503": 1}
    assert len(report.hangs()) == 1
    assert "99" in report.wrong()[0].text
    assert all(one.connected_at is not None and one.connected_at <= one.ended_at for one in report.failures)


def test_connections_are_kept_until_the_server_says_otherwise(port: int) -> None:
    kept = asked(Load(port, lambda n: number(n + 10), most=100, for_s=10, callers=3))
    closed = asked(Load(port, lambda n: number(LAST), most=20, for_s=10, callers=1))
    assert (kept.connections, kept.failures, len(kept.good)) == (3, [], 100)
    assert (closed.connections, closed.failures, len(closed.good)) == (20, [], 20)


def test_it_ends_by_count_by_time_and_when_told_to(port: int) -> None:
    assert asked(Load(port, lambda n: number(n + 10), most=7, for_s=10, callers=3)).asked == 7
    assert asked(Load(port, lambda n: number(n + 10), most=10**9, for_s=0.2, callers=3)).asked > 7
    with running(Load(port, lambda n: number(n + 10), most=10**9, for_s=60, rate=100)) as client:
        assert client.stop().failures == []


def test_percentiles_are_times_of_right_answers_to_what_was_asked_in_the_spans() -> None:
    report = Report(good=[float(at) for at in range(200)], took_s=[float(at) / 1000 for at in range(200)])
    assert report.percentiles_s([(0, 100)], 0.5, 0.99, 1.0) == [0.049, 0.098, 0.099]
    assert report.percentiles_s([(10, 11), (199, 300)], 0.5, 0.51) == [0.01, 0.199]
    with pytest.raises(ValueError, match="nothing was asked"):
        report.percentiles_s([(500, 600)], 0.5)


@pytest.mark.parametrize("rate", [500.0, None])
def test_every_answer_is_told_with_its_head_and_every_right_one_has_its_time(port: int, rate: float | None) -> None:
    heard: list[tuple[int, bool, bytes]] = []

    def telling(value: int) -> Question:
        question = number(value)
        return replace(question, told=lambda *said: heard.append((said[0], "content-length: " in said[1], said[2])))

    report = asked(Load(port, telling, most=10, for_s=10, rate=rate, callers=1, patience_s=PATIENCE_S))
    assert len(report.good) == len(report.took_s) == 6
    assert all(0 < took < PATIENCE_S for took in report.took_s)
    expected = [
        (503 if value == BUSY else 200, True, b"99" if value == WRONG else b"%d" % value) for value in range(3, 11)
    ]
    assert sorted(heard) == sorted(expected)


def test_a_server_that_is_away_is_a_failure_without_an_answer() -> None:
    report = asked(Load(1, number, most=5, for_s=10, rate=500))
    assert report.by_status() == {"none": 5}
    assert report.hangs() == []
    assert [one.connected_at for one in report.failures] == [None] * 5
