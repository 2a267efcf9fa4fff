"""One request of 1,000 rows beside 63 callers of one row: all answers are right, and nobody waits for all of it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest

from tests.e2e.callers import at_once
from tests.e2e.http_client import Connection, Reply, request_bytes
from tests.e2e.scrape import BatchCount, Scrape
from tests.e2e.sluice_up import SluiceUp
from tests.e2e.telling_model import NAME, TELL
from tests.e2e.tensors import Array, infer_document, outputs_of

ROWS = 1_000
SMALL = 63
MAX_ROWS = 64
PATH = f"/v2/models/{NAME}/infer"
PATIENT = {"x-request-timeout-ms": "60000"}


def test_the_small_ones_are_held_up_by_at_most_one_batch_of_it(gateway: SluiceUp) -> None:
    """The model's only runs are told by their rows, so that order is seen without a clock.

    Something slow runs first. While it does, the large request comes, and the small ones behind it. Each small row's
    answer tells the first place of the large request that ran in its batch: so many of its rows ran before.
    """
    with ExitStack() as stack:
        large, *small = [stack.enter_context(gateway.connect()) for _ in range(1 + SMALL)]
        with _held_up(gateway):
            large.send(_request(_rows(ROWS, place=1)))
            # Behind it in the queue, but for a moment in which the machine does not run the gateway at all.
            time.sleep(0.2)
            for number, connection in enumerate(small):
                connection.send(_request(_rows(1, first=10_000 + number)))
            taken = ROWS + SMALL - _waiting(gateway, at_least=SMALL + 1)
        answers = [outputs_of(connection.read()) for connection in small]
        of_large = outputs_of(large.read())
    assert [answer["y"].tolist() for answer in answers] == [[2.0 * (10_000 + number)] for number in range(SMALL)]
    assert of_large["y"].tolist() == [2.0 * row for row in range(ROWS)]
    # Otherwise it would not have been held up, and nothing would be shown.
    assert taken <= 2 * MAX_ROWS
    for answer in answers:
        rows, before = _told(answer)
        assert rows <= MAX_ROWS
        assert before - taken <= MAX_ROWS, f"{before - taken} rows of the large request went first"
    _spans_in_order(of_large["batch"])


def test_every_row_gets_its_own_answer(gateway: SluiceUp) -> None:
    count = BatchCount(gateway)
    times = 5

    def ask(caller: int, connection: Connection) -> list[Reply]:
        rows = ROWS if caller == 0 else 1
        bodies = [_body(_rows(rows, first=caller * 10_000 + turn * ROWS)) for turn in range(times)]
        return [connection.request("POST", PATH, body, PATIENT) for body in bodies]

    for caller, replies in enumerate(at_once(gateway, 1 + SMALL, ask)):
        for turn, reply in enumerate(replies):
            first = caller * 10_000 + turn * ROWS
            rows = ROWS if caller == 0 else 1
            assert outputs_of(reply)["y"].tolist() == [2.0 * (first + row) for row in range(rows)]
    count.end()
    assert count.rows(NAME) == times * (ROWS + SMALL)
    assert count.largest(NAME) == MAX_ROWS


@pytest.mark.parametrize("rows", [MAX_ROWS - 1, MAX_ROWS, MAX_ROWS + 1, 4_096])
def test_the_answer_of_a_request_has_its_rows_in_order(gateway: SluiceUp, rows: int) -> None:
    with gateway.connect() as connection:
        connection.send(_request(_rows(rows, place=1)))
        answer = outputs_of(connection.read())
    assert answer["y"].tolist() == [2.0 * row for row in range(rows)]
    _spans_in_order(answer["batch"])


def test_more_rows_than_the_queue_ever_holds_are_refused_and_the_next_request_works(gateway: SluiceUp) -> None:
    with gateway.connect() as connection:
        connection.send(_request(_rows(4_097)))
        refused = connection.read()
        assert refused.status == 413
        assert "4097 rows" in refused.error
        connection.send(_request(_rows(1)))
        assert connection.read().status == 200


@contextmanager
def _held_up(session: SluiceUp) -> Iterator[None]:
    """A run of some seconds occupies the model; in the gateway's own process it ends when its caller leaves."""
    rounds = _rounds_of(session, seconds=60 if session.engine == "in-process" else 6)
    # Three rows: a size that was not measured yet, so that it does not run on the gateway's loop.
    slow = _rows(3)
    slow[0, 3] = rounds
    with session.connect() as connection:
        connection.send(_request(slow))
        time.sleep(0.2)
        try:
            yield
        finally:
            connection.abort()


def _rounds_of(session: SluiceUp, seconds: float) -> float:
    """About how many rounds take so long here; rather more, since the first run is the slowest."""
    timed = _rows(2)
    timed[0, 3] = rounds = 10_000.0
    with session.connect() as connection:
        connection.send(_request(timed))
        reply = connection.read()
    assert reply.status == 200, reply
    run_ms = float(reply.headers["server-timing"].rpartition("run;dur=")[2])
    return rounds * seconds * 1000 / run_ms


def _waiting(session: SluiceUp, at_least: int) -> int:
    """Rows in the model's queue, once all are there."""
    ends = time.monotonic() + 10
    while (rows := int(Scrape(session).total("sluice_queue_rows", model=NAME))) < at_least or (rows - SMALL) % 8:
        assert time.monotonic() < ends, f"{rows} rows wait"
        time.sleep(0.02)
    return rows


def _rows(count: int, first: int = 0, place: int = 0) -> Array:
    rows = np.zeros((count, 4), np.float32)
    rows[:, 0] = np.arange(first, first + count)
    rows[:, 1] = 2 * TELL
    if place:
        rows[:, 2] = np.arange(place, place + count)
    return rows


def _body(rows: Array) -> bytes:
    return json.dumps(infer_document({"x": rows})).encode()


def _request(rows: Array) -> bytes:
    return request_bytes("POST", PATH, _body(rows), PATIENT)


def _told(answer: dict[str, Array]) -> tuple[int, int]:
    """Rows of its batch, and rows of the large request that went before."""
    rows, lowest = answer["batch"][0].tolist()
    assert lowest <= ROWS, "its batch had no row of the large request"
    return int(rows), int(lowest) - 1


def _spans_in_order(told: Array) -> None:
    """Each of the rows ran with its neighbours, in batches that are not too large, and none was left out."""
    lowest = told[:, 1].astype(int) - 1
    assert lowest[0] == 0
    assert (np.diff(lowest) >= 0).all()
    for row, start in enumerate(lowest):
        assert 0 <= row - start < MAX_ROWS
    assert told[:, 0].max() <= MAX_ROWS
