"""Whole rows of many requests finished at once: four bytes operations instead of forty.

One by one a row of four views costs 4 us, of 40 together less than 1 us each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from serving.features.entity_rows import EntityRows
from serving.features.wholeness import Block, Wholeness
from serving.inference import Tensor

if TYPE_CHECKING:
    from serving.features.plan import TensorPlan
    from serving.features.segments import Pieces

# Below this many, one by one is quicker.
FEWEST = 6


class WholeRows:
    """For requests of one row each, by a plan that copies values as they are.

    A row that is not whole, or a dtype that has to become another, is for the plan's own way.
    """

    def __init__(self, pieces: Pieces, tensors: Sequence[TensorPlan]) -> None:
        self._views = [Wholeness(layout) for layout in pieces.layouts]
        self._sent = [run.struct.size for run in pieces.sent]
        self._tensors = tensors
        self._able = not pieces.conversions

    def tensors(
        self, requests: Sequence[EntityRows], found: Mapping[bytes, bytes | None], now_ms: int
    ) -> list[list[Tensor]] | None:
        """The tensors of each request, shaped [1, ...]; None where one by one is the way."""
        if not self._able or len(requests) < FEWEST:
            return None
        blocks: list[Block] = []
        for position, view in enumerate(self._views):
            block = view.of_all([found.get(rows.keys[position]) for rows in requests], now_ms)
            if block is None:
                return None
            blocks.append(block)
        for position, width in enumerate(self._sent):
            sent = b"".join([rows.sent[0][position] for rows in requests])
            blocks.append(np.frombuffer(sent, np.uint8).reshape(len(requests), width))
        columns = [self._column(tensor, blocks) for tensor in self._tensors]
        return [list(row) for row in zip(*columns, strict=True)]

    @staticmethod
    def _column(tensor: TensorPlan, blocks: Sequence[Block]) -> list[Tensor]:
        """One input of every request, in their order."""
        parts = [blocks[piece][:, start:stop] for piece, start, stop in tensor.segments]
        joined = np.concatenate(parts, axis=1)
        width, data, shape = joined.shape[1], joined.tobytes(), (1, *tensor.trailing)
        return [
            Tensor(tensor.name, tensor.datatype, shape, data[start : start + width])
            for start in range(0, len(data), width)
        ]
