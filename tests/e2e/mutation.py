"""Bytes changed by chance: what a fuzzing loop sends, made again from the same seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

# Pieces that parsers stumble over: bounds of integers, lengths, brackets, what JSON lacks, varints of every length.
_PIECES = (
    *(b"0", b"-1", b"255", b"2147483648", b"9223372036854775808", b"1e999", b"-0.0", b"NaN", b"null", b"true"),
    *(b"[", b"]", b"{", b"}", b'"', b",", b":", b"\\", b"\\ud800", b"[[[[[[[[", b"\0", b"\xff\xfe", b"\xc0\x80"),
    *(b"BYTES", b"FP16", b"INT64", b"BOOL", b'"parameters":{"binary_data_size":7}', b'"outputs":[]', b'"id":"'),
    *(b"\x7f", b"\x80\x01", b"\xff\xff\xff\xff\x0f", b"\xff" * 9 + b"\x01", b"\x3a\x00", b"\x0a\x05", b"\x2a\x7f"),
    *((2**31 - 1).to_bytes(4, "little"), (2**32 - 1).to_bytes(4, "little"), (1).to_bytes(8, "little"), bytes(16)),
)
_CHANGES = (1, 1, 1, 2, 4)
_LONGEST_SLICE = 64
_MOST_REPEATS = 40


class Mutation:
    """Changes some bytes of one of the seeds; equal numbers give equal changes."""

    def __init__(self, seeds: Sequence[bytes], number: int) -> None:
        self._seeds = seeds
        self._random = random.Random(number)
        self._ways: tuple[Callable[[bytearray], None], ...] = (
            self._flip,
            self._overwrite,
            self._remove,
            self._insert,
            self._repeat,
            self._splice,
            self._cut,
        )

    def below(self, end: int) -> int:
        """A number from the same source, for what is decided besides."""
        return self._random.randrange(end)

    def next(self) -> bytes:
        """One of the seeds with a few changes."""
        return self.of(self._random.choice(self._seeds))

    def of(self, seed: bytes) -> bytes:
        """That one with a few changes."""
        changed = bytearray(seed)
        for _ in range(self._random.choice(_CHANGES)):
            self._random.choice(self._ways)(changed)
        return bytes(changed)

    def _slice(self, data: bytes | bytearray) -> tuple[int, int]:
        start = self._random.randrange(len(data) + 1)
        return start, min(len(data), start + self._random.randint(1, _LONGEST_SLICE))

    def _flip(self, data: bytearray) -> None:
        if data:
            data[self._random.randrange(len(data))] ^= 1 << self._random.randrange(8)

    def _overwrite(self, data: bytearray) -> None:
        piece = self._random.choice(_PIECES)
        start, _ = self._slice(data)
        data[start : start + len(piece)] = piece

    def _remove(self, data: bytearray) -> None:
        start, end = self._slice(data)
        del data[start:end]

    def _insert(self, data: bytearray) -> None:
        start, _ = self._slice(data)
        data[start:start] = self._random.choice(_PIECES)

    def _repeat(self, data: bytearray) -> None:
        start, end = self._slice(data)
        data[start:start] = data[start:end] * self._random.randint(1, _MOST_REPEATS)

    def _splice(self, data: bytearray) -> None:
        other = self._random.choice(self._seeds)
        start, end = self._slice(other)
        at, _ = self._slice(data)
        data[at:at] = other[start:end]

    def _cut(self, data: bytearray) -> None:
        start, _ = self._slice(data)
        del data[start:]
