"""Outputs of a trial's answers whose numbers are looked at later, those of many batches together.

A look at one batch costs some microseconds however small it is, most of them since its code has left the caches.
"""

from __future__ import annotations

from math import prod

from serving.inference import ELEMENT_SIZE, Outputs, Tensor

# What is kept at most until it is read, and of one batch: a larger one is worth a look of its own.
_MOST_ROWS = 1_024
_MOST_BYTES = 65_536
_LARGEST = 8_192
_FLOATS = ("FP32", "FP64")


class UnreadOutputs:
    """Rows of batches in which each row answers a request; of outputs that nobody looks at, no bytes are kept.

    Bytes are copied: the frame that they came in is not held.
    """

    __slots__ = ("_kept", "_score", "_size", "rows")

    def __init__(self, score: str) -> None:
        self._score = score
        self._kept: list[_Kept] = []
        self._size = 0
        self.rows = 0

    @property
    def full(self) -> bool:
        """It is time to read them."""
        return self.rows >= _MOST_ROWS or self._size >= _MOST_BYTES

    def keep(self, outputs: Outputs, rows: int) -> bool:
        """So many rows more; False where they are too large, or unlike those that are kept already."""
        size = self._size_of(outputs.tensors, rows)
        if size < 0 and not self.rows:
            self._kept = [_Kept(tensor, looked_at=self._looks_at(tensor)) for tensor in outputs.tensors]
            size = self._size_of(outputs.tensors, rows)
        if not 0 <= size <= _LARGEST:
            return False
        for kept, tensor in zip(self._kept, outputs.tensors, strict=True):
            if kept.row_bytes:
                kept.data += tensor.data
        self._size += size
        self.rows += rows
        return True

    def take(self) -> Outputs:
        """All rows as those of one batch, which are forgotten."""
        outputs = Outputs(tuple([kept.take(self.rows) for kept in self._kept if kept.row_bytes]))
        self._size = self.rows = 0
        return outputs

    def _looks_at(self, tensor: Tensor) -> bool:
        return tensor.datatype in _FLOATS or tensor.name == self._score

    def _size_of(self, tensors: tuple[Tensor, ...], rows: int) -> int:
        """Bytes that would be kept; -1 where shapes, types or lengths are not those of what is kept."""
        if len(tensors) != len(self._kept):
            return -1
        size = 0
        for kept, tensor in zip(self._kept, tensors, strict=True):
            if not kept.is_like(tensor, rows):
                return -1
            size += kept.row_bytes * rows
        return size


class _Kept:
    """One output; `row_bytes` is 0 where nobody looks at it."""

    __slots__ = ("data", "datatype", "name", "row_bytes", "trailing")

    def __init__(self, like: Tensor, *, looked_at: bool) -> None:
        self.name = like.name
        self.datatype = like.datatype
        self.trailing = like.shape[1:]
        self.row_bytes = ELEMENT_SIZE[like.datatype] * prod(self.trailing) if looked_at else 0
        self.data = bytearray()

    def is_like(self, tensor: Tensor, rows: int) -> bool:
        return (
            tensor.name == self.name
            and tensor.datatype == self.datatype
            and tensor.shape[1:] == self.trailing
            and (not self.row_bytes or len(tensor.data) == self.row_bytes * rows)
        )

    def take(self, rows: int) -> Tensor:
        data = bytes(self.data)
        self.data.clear()
        return Tensor(self.name, self.datatype, (rows, *self.trailing), data)
