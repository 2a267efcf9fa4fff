"""How transforms become columns of a plan's tensors: once for all rows at hand, between what is copied as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from serving.features.segments import ARRAYS
from serving.features.transforms.numeric import Numbers
from serving.features.transforms.transform import Transform
from serving.features.wholeness import Block


class Copied(NamedTuple):
    """Bytes `start` to `stop` of a tensor's row of plain columns."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Mixed:
    """A tensor's row, piece by piece: what is copied, and what transforms make."""

    datatype: str
    pieces: tuple[Copied | Transform, ...]


@dataclass(frozen=True, slots=True)
class Operands:
    """What transforms are applied to: columns that are looked up or sent, each once.

    `numbers` and `stored_words` are made like tensors of their own, of float64 and of int64; `sent_words` are the text
    and whole numbers of requests, of which the first stands at `first_sent` of what a row was sent.
    """

    numbers: tuple[str, ...] = ()
    stored_words: tuple[str, ...] = ()
    sent_words: tuple[str, ...] = ()
    first_sent: int = 0


class Derivation:
    """Prepared for one plan with transforms; `mixed` are its tensors in their order."""

    def __init__(self, mixed: Sequence[Mixed], operands: Operands) -> None:
        self._mixed = mixed
        self._operands = operands

    def joined(self, parts: Sequence[bytes], sent: Sequence[tuple[bytes, ...]]) -> list[bytes]:
        """The finished tensors of some rows; `parts` are those of plain columns, then those of operands."""
        blocks = [np.frombuffer(data, np.uint8).reshape(len(sent), -1) for data in parts]
        return [block.tobytes() for block in self.finished(blocks, sent)]

    def finished(self, blocks: Sequence[Block], sent: Sequence[tuple[bytes, ...]]) -> list[Block]:
        """The same, as uint8 [rows, bytes of a row]."""
        operands = self._read(blocks[len(self._mixed) :], sent)
        return [self._row(one, block, operands) for one, block in zip(self._mixed, blocks, strict=False)]

    def _read(self, blocks: Sequence[Block], sent: Sequence[tuple[bytes, ...]]) -> dict[tuple[str, bool], Any]:
        """Each operand by its name, and whether it is one of words."""
        wanted = self._operands
        operands: dict[tuple[str, bool], Any] = {}
        left = list(blocks)
        if wanted.numbers:
            numbers = np.frombuffer(left.pop(0).tobytes(), "<f8").reshape(len(sent), -1)
            operands |= {(name, False): numbers[:, place].copy() for place, name in enumerate(wanted.numbers)}
        if wanted.stored_words:
            words = np.frombuffer(left.pop(0).tobytes(), "<i8").reshape(len(sent), -1)
            operands |= {(name, True): words[:, place].tolist() for place, name in enumerate(wanted.stored_words)}
        for place, name in enumerate(wanted.sent_words, wanted.first_sent):
            operands[name, True] = [one[place] for one in sent]
        return operands

    @staticmethod
    def _row(mixed: Mixed, block: Block, operands: Mapping[tuple[str, bool], Any]) -> Block:
        parts: list[Block] = []
        made: list[Numbers] = []
        for piece in mixed.pieces:
            if isinstance(piece, Copied):
                if made:
                    parts.append(_cast(made, mixed.datatype))
                    made = []
                parts.append(block[:, piece.start : piece.stop])
            else:
                made += piece.apply([operands[name, piece.takes_words] for name in piece.columns])
        if made:
            parts.append(_cast(made, mixed.datatype))
        return np.concatenate(parts, axis=1)


def _cast(columns: Sequence[Numbers], datatype: str) -> Block:
    """Side by side in the tensor's datatype; rounded to the nearest, and infinite where it is too large for it."""
    with np.errstate(over="ignore"):
        rows = np.stack(columns, axis=1).astype(ARRAYS[datatype])
    return np.frombuffer(rows.tobytes(), np.uint8).reshape(len(rows), -1)
