"""The `data` of one tensor in JSON: its values in their row-major order, given flat or nested."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from serving.edge.typed_elements import shown
from serving.errors import BadRequest

_R = ord("r")
_L = ord("l")


def may_have_booleans(body: bytes) -> bool:
    """Whether `true` or `false` stand anywhere in a document; no such answer is ever wrong, but it may be needless.

    A search for one letter is 20 times faster than one for a word, and the fields of a request have no r and no l. As a
    number it is found without an exception that is raised and caught on the way (0.03 us instead of 0.15).
    """
    return (_R in body and b"true" in body) or (_L in body and b"false" in body)


def flat(name: str, data: object, shape: Sequence[int]) -> Sequence[object]:
    """The values of `data`, row-major, given flat or nested as `shape` says; their count is the shape's product.

    Raises:
        BadRequest: counts or nesting do not fit the shape.
    """
    if type(data) is not list:
        raise BadRequest(f"input {name!r}: `data` must be an array, got {shown(data)}")
    values: list[object] = data
    if values and type(values[0]) is list:
        values = _unnested(name, values, shape)
    expected = 1
    for size in shape:
        expected *= size
    if len(values) != expected:
        raise BadRequest(
            f"input {name!r}: shape {list(shape)} needs {expected} values, but `data` has {len(values)}",
        )
    return values


def _unnested(name: str, values: list[object], shape: Sequence[int]) -> list[object]:
    # Level by level instead of recursive: the depth is the shape's, whatever was sent.
    if not shape or len(values) != shape[0]:
        raise _ragged(name, shape)
    for size in shape[1:]:
        for row in values:
            if type(row) is not list or len(row) != size:
                raise _ragged(name, shape)
        values = list(chain.from_iterable(values))  # type: ignore[arg-type]
    return values


def _ragged(name: str, shape: Sequence[int]) -> BadRequest:
    return BadRequest(
        f"input {name!r}: `data` is nested otherwise than shape {list(shape)}; send it flat, or nested like it",
    )
