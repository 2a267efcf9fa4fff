"""The reader cuts a stream into the frames that were sent, wherever it was torn, and takes nothing over its limit."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import StreamRefused
from serving.wire.frame import HEAD, KINDS, PING, RUN, Frame, encode
from serving.wire.frame_reader import FrameReader

Sent = tuple[int, int, int, bytes]

frames = st.lists(
    st.tuples(
        st.sampled_from(sorted(KINDS)), st.integers(0, 2**16 - 1), st.integers(0, 2**64 - 1), st.binary(max_size=200)
    ),
    max_size=8,
)


def stream_of(sent: list[Sent]) -> bytes:
    return b"".join(encode(kind, payload, slot=slot, batch_id=batch_id) for kind, slot, batch_id, payload in sent)


def seen(frame: Frame) -> Sent:
    return frame.kind, frame.slot, frame.batch_id, frame.payload


@given(frames, st.data())
def test_frames_arrive_as_sent_however_the_stream_is_torn(sent: list[Sent], data: st.DataObject) -> None:
    stream = stream_of(sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    reader = FrameReader()
    received = []
    for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        received += [seen(frame) for frame in reader.feed(stream[start:stop])]
    assert received == sent


def test_frames_arrive_as_sent_for_every_place_of_one_cut() -> None:
    sent: list[Sent] = [(PING, 0, 7, b""), (RUN, 3, 8, bytes(range(61))), (PING, 0, 9, b""), (RUN, 1, 10, b"x" * 40)]
    stream = stream_of(sent)
    for cut in range(len(stream) + 1):
        reader = FrameReader()
        assert [seen(frame) for part in (stream[:cut], stream[cut:]) for frame in reader.feed(part)] == sent


def test_frames_arrive_as_sent_byte_by_byte() -> None:
    sent: list[Sent] = [(RUN, 3, 8, bytes(range(61))), (PING, 0, 9, b"")]
    reader = FrameReader()
    stream = stream_of(sent)
    assert [seen(frame) for index in range(len(stream)) for frame in reader.feed(stream[index : index + 1])] == sent


def test_a_blocking_reader_may_fill_the_room_of_a_frame_that_has_begun() -> None:
    stream = stream_of([(RUN, 3, 8, bytes(range(200)))])
    reader = FrameReader()
    assert reader.room() is None
    assert list(reader.feed(stream[:50])) == []
    room = reader.room()
    assert room is not None
    assert len(room) == len(stream) - 50
    room[:100] = stream[50:150]
    assert reader.filled(100) == ()
    rest = reader.room()
    assert rest is not None
    rest[:] = stream[150:]
    assert [seen(frame) for frame in reader.filled(len(rest))] == [(RUN, 3, 8, bytes(range(200)))]
    assert reader.room() is None


@given(st.lists(st.binary(max_size=64), max_size=10))
def test_any_bytes_are_frames_or_refused(parts: list[bytes]) -> None:
    reader = FrameReader()
    with contextlib.suppress(StreamRefused):
        for part in parts:
            list(reader.feed(part))


@given(frames, st.data())
def test_payloads_stand_aligned_to_eight_bytes(sent: list[Sent], data: st.DataObject) -> None:
    stream = stream_of(sent)
    cut = data.draw(st.integers(0, len(stream)))
    reader = FrameReader()
    for part in (stream[:cut], stream[cut:]):
        assert all(frame.start % 8 == 0 for frame in reader.feed(part))


def test_a_frame_over_the_limit_is_refused_before_it_is_read() -> None:
    reader = FrameReader(limit=64)
    assert len(list(reader.feed(encode(RUN, bytes(48))))) == 1
    with pytest.raises(StreamRefused, match="65 bytes; the limit is 64"):
        list(reader.feed(HEAD.pack(12 + 49, RUN, 0, 0, 0)))


@pytest.mark.parametrize(
    "head",
    [
        HEAD.pack(12, 0, 0, 0, 0),
        HEAD.pack(12, 200, 0, 0, 0),
        HEAD.pack(12, PING, 1, 0, 0),
        HEAD.pack(11, PING, 0, 0, 0),
        HEAD.pack(0, PING, 0, 0, 0),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_bytes_that_are_no_frame_are_refused(head: bytes) -> None:
    with pytest.raises(StreamRefused, match="no frames"):
        list(FrameReader().feed(head))
