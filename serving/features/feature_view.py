"""What is known of one kind of entity: the features of a row that is stored, read and replaced as a whole."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from math import isnan, nan

from serving.features.feast.feast_source import FeastSource

# Format characters of `struct`, little-endian: how an element stands in a row and in a tensor.
DTYPES: Mapping[str, str] = {"float32": "f", "float64": "d", "int32": "i", "int64": "q", "bool": "?"}

# Written into each row. Another number here is another fingerprint of every view.
LAYOUT = 1

FINGERPRINT_BYTES = 8


@dataclass(frozen=True, slots=True)
class Feature:
    """One value of a row; `default` stands in where it is missing: NaN or zero if its owner names none.

    `impute` is what training put in the place of missing values; None where that was the default. `bounds` are the
    lowest and the highest value that may be written; None for any.
    """

    name: str
    dtype: str = "float32"
    default: float = nan
    impute: float | None = None
    bounds: tuple[float, float] | None = None


def feature(
    name: str,
    dtype: str = "float32",
    default: float | None = None,
    impute: float | None = None,
    bounds: tuple[float, float] | None = None,
) -> Feature:
    """A feature whose default is the dtype's own where none is given.

    Raises:
        ValueError: no such dtype, a default or a value to impute that the dtype cannot hold, or bounds without anything
            in between.
    """
    if dtype not in DTYPES:
        raise ValueError(f"feature {name!r} has the unknown dtype {dtype!r}; there are {', '.join(DTYPES)}")
    # NaN is in order with nothing.
    if bounds is not None and not bounds[0] <= bounds[1]:
        raise ValueError(f"feature {name!r} has the range {list(bounds)!r}; write [lowest, highest]")
    fractional = dtype in {"float32", "float64"}
    own = nan if fractional else 0
    return Feature(
        name,
        dtype,
        own if default is None else _held(name, dtype, "default", default),
        None if impute is None else _held(name, dtype, "impute", impute),
        bounds,
    )


def _held(name: str, dtype: str, what: str, given: float) -> float:
    """A value as its dtype holds it."""
    problem = f"feature {name!r} has the {what} {given!r}, which is no {dtype}"
    try:
        value = float(given) if dtype in {"float32", "float64"} else int(given)
        # To `struct` everything is a truth.
        if dtype == "bool":
            value = bool(value)
        struct.pack("<" + DTYPES[dtype], value)
    except (struct.error, OverflowError, ValueError):
        raise ValueError(problem) from None
    if value != given and not isnan(value):
        raise ValueError(problem)
    return value


@dataclass(frozen=True, slots=True)
class FeatureView:
    """`entity` names the fields of a request that find the row; `max_age_s` None lets rows be of any age.

    `feast` says where Feast keeps the rows; None for packed rows, which are ours.

    `expire_after_s` after it was written the server forgets a row; None for never. Rows of another `generation` have
    other keys, so that those of two forms are stored side by side.

    `fingerprint` changes with everything that decides what the bytes of a row mean, so that rows written for another
    form of the view are known at sight. Defaults, what is imputed and ages are no part of it: they mean the same bytes.
    """

    name: str
    entity: tuple[str, ...]
    features: tuple[Feature, ...]
    max_age_s: float | None = None
    feast: FeastSource | None = None
    expire_after_s: float | None = None
    generation: int = 1
    fingerprint: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "fingerprint", _fingerprint(self))

    @property
    def why_unreadable(self) -> str:
        """What bytes are that are no row of the view; follows `the row of ...`."""
        if self.feast is not None:
            return "is no hash of Feast's"
        return "was written for another form of the view; load it again"


def _fingerprint(view: FeatureView) -> bytes:
    columns = [f"{feature.name}:{feature.dtype}" for feature in view.features]
    text = "\n".join([f"{LAYOUT}", view.name, ",".join(view.entity), *columns])
    return blake2b(text.encode(), digest_size=FINGERPRINT_BYTES).digest()
