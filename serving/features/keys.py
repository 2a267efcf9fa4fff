"""The names of rows in the features Redis; neighbouring releases and whoever writes rows share them."""

from __future__ import annotations

from collections.abc import Sequence

from serving.errors import BadRequest
from serving.features.feast import entity_key
from serving.features.feast.entity_key import EntityKeys
from serving.features.feature_view import FeatureView
from serving.features.value_words import kind_of

_LONGEST_VALUE = 512

# What every key of ours begins with.
PREFIX = b"sluice:f:"

EntityValue = str | int


def prefix(view: FeatureView) -> bytes:
    """What every key of the view begins with."""
    if view.feast is not None:
        return entity_key.prefix(view.name)
    # The first generation has the keys that views had before there were any. No name of a view has an @.
    later = b"@%d" % view.generation if view.generation != 1 else b""
    return b"%b%b%b:" % (PREFIX, view.name.encode(), later)


def row_key(view: FeatureView, values: Sequence[object]) -> bytes:
    """One key for each combination of entity values: each stands with its length, so that none runs into the next.

    Raises:
        BadRequest: a value that is neither text nor a whole number, or is far too long for an id; with Feast's keys
            also one that the join key's type cannot be.
    """
    if view.feast is not None:
        return EntityKeys(view.name, view.entity, view.feast).key(values)
    parts = zip(view.entity, values, strict=True)
    return prefix(view) + b"".join([netstring(name, value) for name, value in parts])


def values_of(view: FeatureView, key: bytes) -> list[str]:
    """The entity values of a key of the view, as text."""
    if view.feast is not None:
        return EntityKeys(view.name, view.entity, view.feast).values(key)
    values = []
    rest = key[len(prefix(view)) :]
    for _ in view.entity:
        size, _, rest = rest.partition(b":")
        values.append(rest[: int(size)].decode())
        rest = rest[int(size) :]
    return values


def key_of_one(start: bytes, name: str, value: object) -> bytes:
    """The key of a view with one entity key; `start` is the view's `prefix`.

    Raises:
        BadRequest: see `row_key`.
    """
    if type(value) is str and value.isascii() and len(value) <= _LONGEST_VALUE:
        # The usual id, in half the time.
        return b"%b%d:%b" % (start, len(value), value.encode())
    return start + netstring(name, value)


def netstring(name: str, value: object) -> bytes:
    """`6:N14228`: bytes counted, UTF-8; whole numbers in decimal, so that 7 and "7" are one entity.

    Raises:
        BadRequest: see `row_key`.
    """
    if type(value) is str:
        try:
            data = value.encode()
        except UnicodeEncodeError:
            raise BadRequest(f"field {name!r} is no valid text (half of a surrogate pair)") from None
    elif type(value) is int:
        data = b"%d" % value
    else:
        raise BadRequest(f"field {name!r} must be text or a whole number, got {kind_of(value)}")
    if len(data) > _LONGEST_VALUE:
        raise BadRequest(f"field {name!r} has {len(data)} bytes; an entity's id has at most {_LONGEST_VALUE}")
    return b"%d:%b" % (len(data), data)
