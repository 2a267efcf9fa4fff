"""How long rows wait travels in a PING, which who knows nothing of it answers all the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.wire.frame import PING, Frame, encode
from serving.wire.frame_reader import FrameReader
from serving.wire.waits_frame import Waits, decode_waits, encode_waits

SECONDS = st.floats(0, 4_000)


def frame_of(data: bytes) -> Frame:
    (frame,) = FrameReader().feed(data)
    return frame


@given(SECONDS, SECONDS, SECONDS, st.integers(0, 2**32 - 1))
def test_what_is_told_is_read_to_the_microsecond(wait_s: float, may_s: float, goal_s: float, rows: int) -> None:
    frame = frame_of(encode_waits(Waits(wait_s, may_s, goal_s, rows)))
    assert frame.kind == PING
    read = decode_waits(frame)
    assert read is not None
    assert read[:3] == pytest.approx((wait_s, may_s, goal_s), abs=1e-6)
    assert read.rows == rows


def test_numbers_beyond_the_fields_are_their_bounds() -> None:
    read = decode_waits(frame_of(encode_waits(Waits(1e9, -1.0, 0.5, 2**40))))
    assert read == Waits((2**32 - 1) / 1e6, 0.0, 0.5, 2**32 - 1)


def test_a_ping_that_only_asks_tells_nothing() -> None:
    assert decode_waits(frame_of(encode(PING))) is None
    assert decode_waits(frame_of(encode(PING, bytes(8)))) is None


def test_what_a_later_release_adds_is_left_alone() -> None:
    told = encode_waits(Waits(0.01, 0.02, 0.03, 4))
    assert decode_waits(frame_of(encode(PING, told[16:] + bytes(8)))) == Waits(0.01, 0.02, 0.03, 4)


def test_nobody_presses_who_may_not_wait_at_all() -> None:
    assert Waits().pressure == 0.0
    assert Waits(0.03, 0.02).pressure == pytest.approx(1.5)
