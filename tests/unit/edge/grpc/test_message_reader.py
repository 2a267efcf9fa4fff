"""Length-prefixed messages out of pieces of any size."""

from __future__ import annotations

import gzip
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.edge.grpc.limits import GrpcLimits
from serving.edge.grpc.message_reader import Message, MessageReader, whole
from serving.errors import BadRequest, Overloaded, TooLarge
from serving.inference import Buffer


def frame(message: bytes, *, compressed: bool = False) -> bytes:
    return struct.pack(">BI", compressed, len(message)) + message


class Claims:
    def __init__(self, most: int = 1 << 30) -> None:
        self.most = most
        self.total = 0

    def __call__(self, size: int) -> None:
        if self.total + size > self.most:
            raise Overloaded("full")
        self.total += size


@given(st.lists(st.binary(max_size=3000), max_size=5), st.lists(st.integers(1, 4000), max_size=20))
def test_messages_are_the_same_however_they_are_cut(messages: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(map(frame, messages))
    claims = Claims()
    reader = MessageReader(1 << 20, b"identity", claims)
    read = []
    position = 0
    for cut in [*cuts, len(stream)]:
        read += reader.feed(stream[position : position + cut])
        position += cut
    assert read == messages
    assert reader.partial == 0
    assert claims.total == sum(map(len, messages))


def test_many_tiny_pieces_are_gathered() -> None:
    message = bytes(range(256)) * 1000
    stream = frame(message)
    reader = MessageReader(1 << 20, b"identity", Claims())
    read = [one for start in range(0, len(stream), 2) for one in reader.feed(stream[start : start + 2])]
    assert read == [message]


LARGE = 300_000


@given(
    st.lists(st.sampled_from([0, 3, 262_143, 262_144, LARGE]), min_size=1, max_size=4),
    st.lists(st.integers(1, 200_000), max_size=12),
    st.booleans(),
)
def test_large_messages_are_the_same_however_they_are_cut(sizes: list[int], cuts: list[int], only: bool) -> None:
    sizes = sizes[:1] if only else sizes
    messages = [bytes([number + 1]) * size for number, size in enumerate(sizes)]
    stream = b"".join(map(frame, messages))
    claims = Claims(sum(sizes))
    reader = MessageReader(1 << 20, b"identity", claims, most_messages=1 if only else None)
    read: list[Message] = []
    position = 0
    for cut in [*cuts, len(stream)]:
        read += reader.feed(stream[position : position + cut])
        position = min(position + cut, len(stream))
        assert reader.partial == position - sum(len(one) + 5 for one in _inflated(read))
    assert read == messages
    assert claims.total == sum(sizes)


def test_a_large_message_is_put_in_its_place_as_it_arrives() -> None:
    rooms = []
    stream = frame(bytes(range(256)) * 4096)
    reader = MessageReader(1 << 21, b"identity", Claims())
    for start in range(0, len(stream) - 16_384, 16_384):
        assert reader.feed(stream[start : start + 16_384]) == []
        rooms.append(reader.room)
    (message,) = reader.feed(stream[start + 16_384 :])
    assert message == stream[5:]
    # What a prefix announces takes nothing before some of it has come; then there is one room, and all goes there.
    assert rooms[:4] == [None] * 4
    assert rooms[4] is not None
    assert all(room is message for room in rooms[4:])


@given(st.integers(1, 3000), st.lists(st.integers(1, 400), max_size=20))
def test_what_has_arrived_is_claimed_and_no_more(size: int, cuts: list[int]) -> None:
    stream = frame(bytes(size)) * 2
    claims = Claims(2 * size)
    reader = MessageReader(1 << 20, b"identity", claims)
    position = 0
    for cut in cuts:
        reader.feed(stream[position : position + cut])
        position = min(position + cut, len(stream))
        whole_ones, rest = divmod(position, size + 5)
        assert claims.total == whole_ones * size + max(0, rest - 5)
        assert reader.partial == rest


def test_what_does_not_fit_is_refused_at_its_prefix_and_holds_nothing() -> None:
    claims = Claims(100)
    with pytest.raises(Overloaded):
        MessageReader(1 << 20, b"identity", claims).feed(frame(bytes(101))[:5])
    assert claims.total == 0


def test_an_only_message_has_none_after_it() -> None:
    reader = MessageReader(100, b"identity", Claims(), most_messages=1)
    assert reader.feed(frame(b"a")) == [b"a"]
    with pytest.raises(BadRequest, match="more than one message"):
        reader.feed(frame(b"") * 3)


def test_what_follows_many_messages_is_copied_once() -> None:
    class Counting(bytes):
        copied = 0

        def __getitem__(self, key: Any) -> Any:
            got = super().__getitem__(key)
            if not isinstance(got, bytes):
                return got
            Counting.copied += len(got)
            return Counting(got)

    data = Counting(frame(b"") * 10_000 + frame(bytes(2000))[:-1])
    assert len(MessageReader(1 << 20, b"identity", Claims()).feed(data)) == 10_000
    assert Counting.copied < 2 * len(data)


@pytest.mark.parametrize(("size", "taken"), [(99, True), (100, True), (101, False)])
def test_a_message_over_the_limit_is_refused_at_its_prefix(size: int, taken: bool) -> None:
    reader = MessageReader(100, b"identity", Claims())
    if taken:
        assert reader.feed(frame(bytes(size))) == [bytes(size)]
        assert whole(frame(bytes(size)), 100) == bytes(size)
    else:
        assert whole(frame(bytes(size)), 100) is None
        with pytest.raises(TooLarge, match=rf"a message of {size} bytes is over the limit of 100"):
            reader.feed(frame(bytes(size))[:5])


def _inflated(messages: list[Message]) -> list[Buffer]:
    """All steps done."""
    whole_ones: list[Buffer] = []
    for message in messages:
        made = message
        while not isinstance(made, Buffer):
            try:
                next(made)
            except StopIteration as ended:
                made = ended.value
        whole_ones.append(made)
    return whole_ones


@pytest.mark.parametrize(("compress", "encoding"), [(gzip.compress, b"gzip"), (zlib.compress, b"deflate")])
def test_a_compressed_message_is_inflated_up_to_the_limit(compress: object, encoding: bytes) -> None:
    assert callable(compress)
    claims = Claims()
    reader = MessageReader(1000, encoding, claims)
    assert _inflated(reader.feed(frame(compress(b"a" * 1000), compressed=True))) == [b"a" * 1000]
    assert claims.total == 1000
    with pytest.raises(TooLarge):
        _inflated(MessageReader(1000, encoding, Claims()).feed(frame(compress(b"a" * 1001), compressed=True)))
    with pytest.raises(BadRequest, match="ends too early"):
        _inflated(MessageReader(1000, encoding, Claims()).feed(frame(compress(b"abc" * 100)[:-3], compressed=True)))


def test_a_compressed_message_has_a_limit_of_its_own() -> None:
    reader = MessageReader(10_000, b"gzip", Claims(), 1000)
    assert _inflated(reader.feed(frame(gzip.compress(b"a" * 1000), compressed=True))) == [b"a" * 1000]
    with pytest.raises(TooLarge, match=r"more than 1000 bytes when inflated \(grpc\.max_inflated_mb\)"):
        _inflated(reader.feed(frame(gzip.compress(b"a" * 1001), compressed=True)))
    assert reader.feed(frame(b"a" * 10_000)) == [b"a" * 10_000]


def test_what_may_be_inflated_is_never_more_than_a_message_may_have() -> None:
    assert GrpcLimits(max_message_mb=1, max_inflated_mb=4).max_inflated_bytes == 1 << 20
    assert GrpcLimits(max_message_mb=8, max_inflated_mb=4).max_inflated_bytes == 4 << 20


def test_what_is_no_message_is_refused() -> None:
    with pytest.raises(BadRequest, match="got 7"):
        MessageReader(100, b"identity", Claims()).feed(b"\7\0\0\0\0")
    with pytest.raises(BadRequest, match="no grpc-encoding"):
        _inflated(MessageReader(100, b"identity", Claims()).feed(frame(b"a", compressed=True)))
    with pytest.raises(BadRequest, match="cannot be inflated"):
        _inflated(MessageReader(100, b"gzip", Claims()).feed(frame(b"abcd", compressed=True)))
