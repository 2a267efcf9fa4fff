"""bfloat16, which NumPy does not have: arrays hold its bits, the upper half of a float32, as uint16."""

from __future__ import annotations

import numpy as np

from serving.runtime.tensor_arrays import Array

BF16 = "BF16"
CARRIER = np.dtype("<u2")


def bits_of(values: Array) -> Array:
    """The nearest bfloat16 of each float32, as its bits; ties go to the even one, as IEEE 754 rounds."""
    whole = np.asarray(values, np.float32).view(np.uint32)
    rounded = (whole + np.uint32(0x7FFF) + ((whole >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    # Cut off, a NaN could become an infinity, and rounded a zero; this bit keeps it one.
    kept = (whole >> np.uint32(16)) | np.uint32(0x40)
    return np.asarray(np.where(np.isnan(values), kept, rounded)).astype(CARRIER)


def values_of(bits: Array) -> Array:
    """The float32 that each stands for."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)
