"""Values of many packed rows as another dtype or in another order, to the same bits as row by row."""

from __future__ import annotations

import numpy as np

from serving.features.feature_view import DTYPES
from serving.features.segments import ARRAYS, FORMATS, Conversion
from serving.features.wholeness import Block

_ARRAYS = {"float32": "<f4", "float64": "<f8", "int32": "<i4", "int64": "<i8", "bool": "<u1"}
_TARGETS = {letter: ARRAYS[datatype] for datatype, letter in FORMATS.items()}


class BlockConversion:
    """`Conversion.convert` for all rows of a view at once."""

    def __init__(self, conversion: Conversion) -> None:
        layout = conversion.layout
        features = layout.view.features
        sizes = [np.dtype(_ARRAYS[feature.dtype]).itemsize for feature in features]
        self.view = conversion.view
        self._columns = [
            (layout.values_at + sum(sizes[:position]), sizes[position], features[position].dtype)
            for position in conversion.positions
        ]
        self._target = _TARGETS[conversion.struct.format[-1]]

    def of_all(self, block: Block) -> Block:
        """The converted values as uint8 [rows, bytes]."""
        converted = np.empty((len(block), len(self._columns)), self._target)
        for place, (start, size, dtype) in enumerate(self._columns):
            values = np.frombuffer(block[:, start : start + size].tobytes(), _ARRAYS[dtype])
            if dtype == "bool":
                # A packed boolean may be any byte but zero.
                converted[:, place] = values != 0
            elif DTYPES[dtype] in "iq" and self._target == "<f4":
                # By way of float64, as `struct` goes: rounded twice, a few numbers above 2^53 are others.
                converted[:, place] = values.astype(np.float64)
            else:
                converted[:, place] = values
        return np.frombuffer(converted.tobytes(), np.uint8).reshape(len(block), -1)
