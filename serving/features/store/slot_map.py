"""Where the keys of a Redis Cluster are: 16,384 slots, each on one master and its replicas.

The checksum is CRC-16/XMODEM, as the Redis Cluster Specification gives it.
"""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from serving.errors import Unavailable

SLOTS = 16_384


class Place(NamedTuple):
    """A server's host and port, as the cluster announces them."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Shard:
    """Slots `first` to `last`, both included, and who has them."""

    first: int
    last: int
    master: Place
    replicas: tuple[Place, ...]


class Redirect(NamedTuple):
    """A key is elsewhere: from now on, or, where `asking`, only while its slot moves."""

    slot: int
    place: Place
    asking: bool


def slot_of(key: bytes) -> int:
    """The slot of a key; of what stands in its first braces, if anything does."""
    start = key.find(b"{")
    if start >= 0:
        end = key.find(b"}", start + 1)
        if end > start + 1:
            key = key[start + 1 : end]
    return binascii.crc_hqx(key, 0) & 0x3FFF


def shards_of(reply: object, asked: str) -> list[Shard]:
    """What CLUSTER SLOTS answers; a server that does not know its own name is at the host `asked`.

    Raises:
        Unavailable: it answers something else.
    """
    try:
        return [_shard(entry, asked) for entry in _list(reply)]
    except (TypeError, ValueError, IndexError) as error:
        raise Unavailable("it answers CLUSTER SLOTS with something else than slots") from error


def redirect_of(error: str, asked: str) -> Redirect | None:
    """What `MOVED 3999 10.0.0.1:6381`, or `ASK ...`, of a node at the host `asked` says; None for any other error."""
    words = error.split(" ")
    if len(words) != len(("MOVED", "slot", "place")) or words[0] not in ("MOVED", "ASK"):
        return None
    host, _, port = words[2].rpartition(":")
    if not (words[1].isascii() and words[1].isdigit() and port.isascii() and port.isdigit()):
        return None
    slot = int(words[1])
    return Redirect(slot, Place(host or asked, int(port)), words[0] == "ASK") if slot < SLOTS else None


def _shard(entry: object, asked: str) -> Shard:
    first, last, master, *replicas = _list(entry)
    shard = Shard(_int(first), _int(last), _place(master, asked), tuple(_place(one, asked) for one in replicas))
    if not 0 <= shard.first <= shard.last < SLOTS:
        raise ValueError("no slots")
    return shard


def _place(entry: object, asked: str) -> Place:
    host, port, *_ = _list(entry)
    if host is not None and not isinstance(host, bytes):
        raise TypeError("no host")
    # "?" where a node has no name to announce.
    name = (host or b"").decode()
    return Place(asked if name in ("", "?") else name, _int(port))


def _list(value: object) -> Sequence[object]:
    if not isinstance(value, list):
        raise TypeError("no list")
    return value


def _int(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError("no number")
    return value
