"""Bodies that are put in their place past the parser: the same requests, the same bounds, whatever the cuts."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.edge.http import intake
from serving.edge.http.limits import HttpLimits
from tests.unit.edge.http.binary import request
from tests.unit.edge.http.test_intake import BODIES, CHUNKED, GET, STREAM, Taken
from tests.unit.edge.http.wire import post


@pytest.fixture(autouse=True)
def _everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "_LARGE", 2)


@given(st.lists(st.integers(0, len(b"".join(STREAM))), max_size=12))
def test_requests_are_the_same_however_the_bytes_are_cut(cuts: list[int]) -> None:
    data = b"".join(STREAM)
    taken = Taken()
    for start, stop in pairwise([0, *sorted(cuts), len(data)]):
        taken.intake.feed(data[start:stop])
    assert taken.bodies == BODIES
    assert not taken.refusals
    assert taken.edge.budget.used == sum(map(len, BODIES))


def test_a_tensor_behind_a_json_part_begins_where_a_model_can_read_it() -> None:
    for size in range(20):
        taken = Taken()
        data = request(b"x" * size + b"tensor", size)
        taken.intake.feed(data[:-3])
        taken.intake.feed(data[-3:])
        (body,) = taken.bodies
        assert body == b"x" * size + b"tensor"
        assert np.frombuffer(body, np.uint8)[size:].ctypes.data % 16 == 0


def test_a_body_without_room_is_refused_midway_and_the_next_request_is_served() -> None:
    taken = Taken(HttpLimits(in_flight_mb=1))
    taken.edge.budget.used = (1 << 20) - 100
    head, _, body = post("y" * 60).partition(b"\r\n\r\n")
    taken.intake.feed(head + b"\r\n\r\n" + body[:10])
    taken.intake.feed(body[10:20])
    taken.edge.budget.used += 90
    taken.intake.feed(body[20:30])
    assert taken.statuses == [503]
    taken.intake.feed(body[30:])
    taken.edge.budget.used = 0
    taken.intake.feed(post("next") + GET)
    assert taken.bodies == [b"next", b""]
    assert taken.edge.budget.used == 4


def test_a_body_that_does_not_end_gives_back_what_it_held() -> None:
    taken = Taken()
    taken.intake.feed(post("y" * 60)[:-20])
    taken.intake.feed(b"yy")
    assert taken.edge.budget.used == 42
    taken.intake.stop()
    assert taken.edge.budget.used == 0
    taken.intake.feed(b"y" * 18)
    assert not taken.bodies


def test_what_follows_a_large_body_in_the_same_bytes_is_served() -> None:
    taken = Taken()
    data = post("a large one")
    taken.intake.feed(data[:-4])
    taken.intake.feed(data[-4:] + post("two") + CHUNKED)
    assert taken.bodies == [b"a large one", b"two", b"abcde"]


def test_of_a_length_that_lies_only_what_arrived_is_counted() -> None:
    taken = Taken()
    head, _, _ = request(b"", 10).rpartition(b"Content-Length")
    taken.intake.feed(head + b"Content-Length: 67108864\r\n\r\n" + b"x" * 100)
    assert taken.edge.budget.used == 100
