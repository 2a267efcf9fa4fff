"""Transforms of words: text or whole numbers in, float64 arrays out.

A word is its UTF-8 bytes; a whole number stands in decimal, so that 7 and "7" are one word, as they are one entity.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b

import numpy as np

from serving.features.transforms.numeric import Numbers

Word = str | int


def word(value: object) -> bytes:
    """The bytes of one word.

    Raises:
        ValueError: it is neither text nor a whole number; what is missing has to be filled in before.
    """
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError:
            raise ValueError("is no valid text (half of a surrogate pair)") from None
    # True is a whole number to Python, and no word; NumPy's are of a type of their own.
    if type(value) is int or isinstance(value, np.integer):
        return b"%d" % int(value)
    raise ValueError(f"{value!r} is neither text nor a whole number")


def bucket_of(value: bytes, buckets: int) -> int:
    """A word's bucket: BLAKE2b (RFC 7693) with 8 bytes of digest, read little-endian, modulo `buckets`."""
    return int.from_bytes(blake2b(value, digest_size=8).digest(), "little") % buckets


def bucket(values: Iterable[object], buckets: int) -> Numbers:
    """The hashing trick: words of any number become one of a few numbers, the same in every language and release."""
    known: dict[bytes, int] = {}
    numbers = []
    for value in map(word, values):
        number = known.get(value)
        if number is None:
            number = known[value] = bucket_of(value, buckets)
        numbers.append(number)
    return np.array(numbers, np.float64)


def lookup(values: Iterable[object], table: Mapping[bytes, Sequence[float]], otherwise: Sequence[float]) -> Numbers:
    """What a table has for each word, `otherwise` for the rest: float64 [rows, numbers of an entry]."""
    found = [table.get(word(value), otherwise) for value in values]
    return np.array(found, np.float64).reshape(len(found), len(otherwise))


def one_hot(places: Numbers, width: int) -> Numbers:
    """1 in the column that a row names, 0 in all others and everywhere where it names none: float64 [rows, width]."""
    hot: Numbers = (places[:, None] == np.arange(width, dtype=np.float64)).astype(np.float64)
    return hot
