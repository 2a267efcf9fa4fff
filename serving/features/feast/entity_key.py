"""The names of Feast's hashes: the serialized entity key (version 3), then the project.

`u32 number of join keys`, then of each, sorted by name, `u32 2 · u32 length · name`, then of each value
`u32 type · u32 length · bytes`, all little-endian; then the project in UTF-8. Source:
`feast/infra/key_encoding_utils.py` and `_redis_key` of 0.67. Recorded keys: tests/fixtures/feast.

Several views of a project share the hash of an entity. What a plan looks up is therefore named by the view as well:
`feast:<view>:` and the hash's name.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

from serving.errors import BadRequest
from serving.features.feast.feast_source import FeastSource, JoinKey
from serving.features.value_words import kind_of, shown

MARK = b"feast:"

_STRING = 2
_TYPES = {"string": _STRING, "int32": 3, "int64": 4}
_WHOLE = {"int32": Struct("<i"), "int64": Struct("<q")}
_LENGTH = Struct("<I")
_TYPE_AND_LENGTH = Struct("<II")
_LONGEST_VALUE = 512


def prefix(view: str) -> bytes:
    """What every look-up of a view begins with; `view` is our name of it."""
    return b"%b%b:" % (MARK, view.encode())


class EntityKeys:
    """The keys of one view; `fields` are what callers call its join keys, and `view` what we call it."""

    def __init__(self, view: str, fields: Sequence[str], source: FeastSource) -> None:
        # Feast sorts by the name of the join key, whatever callers call it.
        places = sorted(range(len(fields)), key=lambda place: source.join_keys[place].name)
        self._sorted = [(place, fields[place], source.join_keys[place]) for place in places]
        names = b"".join(_named(source.join_keys[place].name) for place in places)
        self._start = prefix(view) + _LENGTH.pack(len(fields)) + names
        self._end = source.project.encode()
        # What the names of the hashes of these join keys begin and end with; other views of them have the same ones.
        self.around = (self._start[len(prefix(view)) :], self._end)

    def key(self, values: Sequence[object]) -> bytes:
        """What is looked up for these values of the fields, in their order.

        Raises:
            BadRequest: a value that the join key's type cannot be; names the field.
        """
        parts = [_valued(field, join_key, values[place]) for place, field, join_key in self._sorted]
        return b"%b%b%b" % (self._start, b"".join(parts), self._end)

    def values(self, key: bytes) -> list[str]:
        """The values of a key of this view, as text, in the order of the fields."""
        found = [""] * len(self._sorted)
        at = len(self._start)
        for place, _, join_key in self._sorted:
            _, size = _TYPE_AND_LENGTH.unpack_from(key, at)
            at += _TYPE_AND_LENGTH.size
            data = key[at : at + size]
            at += size
            whole = _WHOLE.get(join_key.type)
            found[place] = data.decode() if whole is None else str(whole.unpack(data)[0])
        return found


def _named(name: str) -> bytes:
    data = name.encode()
    return _TYPE_AND_LENGTH.pack(_STRING, len(data)) + data


def _valued(field: str, join_key: JoinKey, value: object) -> bytes:
    data = _text(field, value) if join_key.type == "string" else _whole(field, join_key.type, value)
    return _TYPE_AND_LENGTH.pack(_TYPES[join_key.type], len(data)) + data


def _text(field: str, value: object) -> bytes:
    if type(value) is int:
        # As with rows of ours, 7 and "7" are one entity.
        value = str(value)
    if type(value) is not str:
        raise BadRequest(f"field {field!r} must be text or a whole number, got {kind_of(value)}")
    try:
        data = value.encode()
    except UnicodeEncodeError:
        raise BadRequest(f"field {field!r} is no valid text (half of a surrogate pair)") from None
    if len(data) > _LONGEST_VALUE:
        raise BadRequest(f"field {field!r} has {len(data)} bytes; an entity's id has at most {_LONGEST_VALUE}")
    return data


def _whole(field: str, kind: str, value: object) -> bytes:
    struct = _WHOLE[kind]
    number = _number(value) if type(value) is str else value
    if type(number) is not int:
        got = shown(value) if type(value) is str else kind_of(value)
        raise BadRequest(f"field {field!r} must be a whole number, since Feast's join key is {kind}; got {got}")
    if not -(1 << (8 * struct.size - 1)) <= number < 1 << (8 * struct.size - 1):
        raise BadRequest(f"field {field!r} is {shown(value)}, which is too large for Feast's join key, an {kind}")
    return struct.pack(number)


def _number(text: str) -> int | None:
    """The number whose decimal text this is: `007` is another id than 7, as it is with rows of ours."""
    digits = text.removeprefix("-")
    # Longer ones are none of 64 bits, and take Python long to read.
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 20):  # noqa: PLR2004 - digits of 2 ** 64
        return None
    number = int(text)
    return number if str(number) == text else None
