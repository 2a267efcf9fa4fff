"""Inputs to warm a model up with: its owner's, or made to fit what the model declares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from serving.errors import ModelUnservable
from serving.inference import Signature, TensorSpec
from serving.runtime.bfloat16 import BF16, bits_of
from serving.runtime.tensor_arrays import DTYPES, Array

# One array for each input: a row keeps dimension 0 with size 1, so that rows are joined by concatenation.
Sample = list[Array]
Shape = list[tuple[int, ...]]

# Sizes tried for dimensions that the model leaves open: sequences, then what images need to survive their pooling.
_OPEN_SIZES = (4, 1, 8, 32, 224)
# Spread over magnitudes, so that trees with thresholds in minutes or in thousands see both sides of them.
_SCALES = (1.0, 100.0, 0.1, 1000.0, 10.0)
# Bounds of integers: they may be ids that look up a small table, and 1 means that all are zero.
_BOUNDS = (10, 2, 5, 3, 1)
_DIGITS = ("0", "1", "2", "3", "10", "7")
_WORDS = ("a", "b", "yes", "no", "", "2013-01-31", "New York", "\u00e9")

_TRIES = 20


def made_up(signature: Signature) -> Iterator[tuple[Shape, list[Sample]]]:
    """Shapes with different inputs of each, the likeliest shape first; one row where dimension 0 is open.

    The same samples every time: the seed of each is its number.
    """
    specs = signature.inputs
    open_sizes = _OPEN_SIZES if any(-1 in spec.shape[1:] for spec in specs) else (1,)
    for size in open_sizes:
        shape = [_shape(spec, size) for spec in specs]
        yield shape, alike(specs, shape)


def alike(specs: Sequence[TensorSpec], shape: Shape) -> list[Sample]:
    """Different made-up values, all of the given shape."""
    return [
        [
            _values(spec.datatype, size, (number, place))
            for place, (spec, size) in enumerate(zip(specs, shape, strict=True))
        ]
        for number in range(_TRIES)
    ]


def shape_of(sample: Sample) -> Shape:
    """The shape of each input."""
    return [array.shape for array in sample]


def owners(samples: Sequence[Mapping[str, object]], signature: Signature) -> list[Sample]:
    """The manifest's samples as arrays; a value with one dimension less than its input is one row.

    Raises:
        ModelUnservable: a sample names other inputs than the model has, or does not fit them.
    """
    return [
        part for number, sample in enumerate(samples) for part in _rows(_owners(sample, number, signature), signature)
    ]


def stacked(rows: Sequence[Sample]) -> Sample:
    """Rows joined into one batch."""
    return [np.concatenate(column) for column in zip(*rows, strict=True)]


def _owners(sample: Mapping[str, object], number: int, signature: Signature) -> Sample:
    where = f"model.yaml: samples[{number}]"
    names = [spec.name for spec in signature.inputs]
    if set(sample) != set(names):
        raise ModelUnservable(f"{where} gives {sorted(sample)}; give one value for each input: {names}")
    return [_owner_value(f"{where}.{spec.name}", sample[spec.name], spec) for spec in signature.inputs]


def _owner_value(where: str, value: object, spec: TensorSpec) -> Array:
    try:
        array: Array = (
            bits_of(np.array(value, np.float32)) if spec.datatype == BF16 else np.array(value, DTYPES[spec.datatype])
        )
    except (TypeError, ValueError, OverflowError) as error:
        raise ModelUnservable(f"{where} is not {spec.datatype} of shape {list(spec.shape)}: {error}") from error
    if array.ndim == len(spec.shape) - 1:
        array = array[np.newaxis]
    fits = array.ndim == len(spec.shape) and all(
        declared in (-1, actual) for declared, actual in zip(spec.shape, array.shape, strict=True)
    )
    if not fits:
        raise ModelUnservable(f"{where} has shape {list(array.shape)} where the model takes {list(spec.shape)}")
    return array


def _rows(sample: Sample, signature: Signature) -> Iterator[Sample]:
    open_first = all(spec.shape and spec.shape[0] == -1 for spec in signature.inputs)
    counts = {array.shape[0] for array in sample} if open_first else {1}
    if not open_first or len(counts) > 1:
        yield sample
        return
    for row in range(counts.pop()):
        yield [array[row : row + 1] for array in sample]


def _shape(spec: TensorSpec, open_size: int) -> tuple[int, ...]:
    if not spec.shape:
        return ()
    first = spec.shape[0] if spec.shape[0] > 0 else 1
    return (first, *(size if size > 0 else open_size for size in spec.shape[1:]))


def _values(datatype: str, shape: tuple[int, ...], seed: tuple[int, int]) -> Array:
    # The place of the input is part of the seed, or x / x and a - a would make equal rows of different ones.
    random = np.random.default_rng(seed)
    number = seed[0]
    dtype = DTYPES[datatype]
    if dtype.kind == "f" or datatype == BF16:
        numbers = np.asarray(random.normal(size=shape) * _SCALES[number % len(_SCALES)])
        array: Array = bits_of(numbers.astype(np.float32)) if datatype == BF16 else numbers.astype(dtype)
        return array
    if dtype.kind == "O":
        words = (_DIGITS, _WORDS)[number % 2]
        return np.asarray(random.choice(np.array(words, dtype=object), size=shape), dtype=object)
    bound = 2 if dtype.kind == "b" else _BOUNDS[number % len(_BOUNDS)]
    return np.asarray(random.integers(0, bound, size=shape)).astype(dtype)
