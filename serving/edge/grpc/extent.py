"""How much a message would have protobuf build: counted before it is parsed, since two bytes can become ninety.

Measured: a megabyte of empty inputs takes 170 ms to parse and 44 MB; counting ends after 4 ms.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from serving.edge.grpc.limits import GrpcLimits
from serving.errors import BadRequest, TooLarge
from serving.inference import Buffer
from serving.protocol.descriptors import DecodeError
from serving.protocol.open_inference import ModelInferRequest

# Too little to matter, whatever is in it.
_SMALL = 4096
# Names, shapes and parameters together, and any request that has no tensors.
_MOST_BESIDE = 1 << 20
_MOST_PLAIN = 1 << 16
# An input has five fields and one of raw contents, an output two; the rest is for parameters.
_FIELDS_PER_TENSOR = 32
INPUT, OUTPUT, RAW = 0x2A, 0x32, 0x3A
# Of an input; its fields 6 and 7 of contents are floats, which become no larger.
CONTENTS = 0x2A
_PACKED = frozenset((0x0A, 0x12, 0x1A, 0x22, 0x2A))
_FLOATS = frozenset((0x32, 0x3A))
STRING = 0x42
# A number that is not packed with others takes so many times as long; no client known writes them.
_SINGLE = 8
# A varint has at most ten bytes, and all but its last one of these.
_LONGEST_VARINT = 10
_CONTINUED = bytes(range(0x80, 0x100))
# Wire types 1 and 5 are of a fixed size, 3 and 4 begin and end a group; there are no others.
_SIZES = {1: 8, 3: 0, 4: 0, 5: 4}

Field = tuple[int, int, int]


def parsed_request(message: bytes, limits: GrpcLimits) -> ModelInferRequest:
    """The request, where it is not too much to parse.

    Raises:
        BadRequest: it is none.
        TooLarge: it has more fields, or more beside its values, than a request needs.
    """
    try:
        if len(message) > _SMALL:
            Extent(message, limits).message()
        return ModelInferRequest.FromString(message)
    except (DecodeError, IndexError):
        raise not_a_request() from None


def not_a_request() -> BadRequest:
    """The refusal of bytes that are none."""
    return BadRequest("the message is no inference.ModelInferRequest")


def parsed_plain(request: Any, message: Buffer, most: int = _MOST_PLAIN) -> Any:  # noqa: ANN401 - a message's class
    """A message without tensors, of the class `request`.

    Raises:
        BadRequest: it is none.
        TooLarge: it has more than `most` bytes.
    """
    name = request.DESCRIPTOR.full_name
    if len(message) > most:
        raise TooLarge(f"{name} has at most {most} bytes, got {len(message)}")
    try:
        return request.FromString(message)
    except DecodeError:
        raise BadRequest(f"the message is no {name}") from None


def most_fields(limits: GrpcLimits) -> int:
    """How many fields a request may have; single values of typed contents are counted apart."""
    return _FIELDS_PER_TENSOR * limits.max_tensors


def varint(message: Buffer, position: int) -> tuple[int, int]:
    """Where what follows begins, and the number (protobuf: base 128).

    Raises:
        IndexError: the message ends too early, or this is none.
    """
    number = message[position]
    if number < 0x80:  # noqa: PLR2004 - no more bytes follow
        return position + 1, number
    number, shift = number & 0x7F, 7
    while True:
        position += 1
        byte = message[position]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - see above
            return position + 1, number
        shift += 7
        if shift > 63:  # noqa: PLR2004 - a varint has at most ten bytes
            raise IndexError


class Extent:
    """What is left of a request's fields, typed values, and bytes beside its values."""

    __slots__ = ("_beside", "_fields", "_kept", "_limits", "_message", "_typed")

    def __init__(self, message: Buffer, limits: GrpcLimits) -> None:
        self._message = message
        self._limits = limits
        self._fields = most_fields(limits)
        self._typed = limits.max_typed_elements
        self._beside = _MOST_BESIDE - len(message)
        self._kept = 0

    def message(self) -> None:
        """Look at all of it."""
        for tag, start, end in self.within(0, len(self._message)):
            if tag == RAW:
                self._beside += end - start
            elif tag == INPUT:
                self._input(start, end)
            elif tag == OUTPUT:
                for _ in self.within(start, end):
                    pass
        if self._beside < 0:
            raise _too_much(_MOST_BESIDE - self._beside)

    def _input(self, begin: int, end: int) -> None:
        for tag, start, stop in self.within(begin, end):
            if tag == CONTENTS:
                self._beside += stop - start
                self._contents(start, stop)

    def within(self, begin: int, end: int) -> Iterator[Field]:
        """The fields of a message in it, each counted."""
        for field in fields(self._message, begin, end):
            self._fields -= 1
            if self._fields < 0:
                most, tensors = most_fields(self._limits), self._limits.max_tensors
                raise TooLarge(f"a request has at most {most} fields, for {tensors} tensors (http.max_tensors)")
            yield field

    def _contents(self, begin: int, end: int) -> None:
        begin = self.strings(begin, end)
        for field in fields(self._message, begin, end):
            self.take_field(*field)

    def strings(self, position: int, end: int, some: int | None = None) -> int:
        """Where the short strings end that contents begin with, or `some` of them; there may be many, and so they are
        counted fast.
        """
        message, count, most = self._message, 0, self._typed if some is None else min(some - 1, self._typed)
        while position + 1 < end and message[position] == STRING and message[position + 1] < 0x80:  # noqa: PLR2004
            position += 2 + message[position + 1]
            count += 1
            if count > most:
                break
        self._take(count)
        if position > end:
            raise IndexError
        return position

    def take_field(self, tag: int, start: int, stop: int) -> None:
        """Count a field of contents; one without any values costs as much as one with a value."""
        if tag in _PACKED:
            self._take(max(self._numbers(start, stop), 1))
        else:
            self._take(1 if tag == STRING or tag in _FLOATS else _SINGLE)

    def take_float(self, *, single: bool) -> None:
        """Count a field of floats, which is one value, or any number of them."""
        self._take(_SINGLE if single else 1)

    def keep(self, size: int) -> None:
        """Count bytes beside the values."""
        self._kept += size
        if self._kept > _MOST_BESIDE:
            raise _too_much(self._kept)

    def _numbers(self, start: int, stop: int) -> int:
        size = stop - start
        # More than there may be, whatever they are: not worth counting.
        if size > _LONGEST_VARINT * self._typed:
            return size
        return len(bytes(self._message[start:stop]).translate(None, _CONTINUED))

    def _take(self, count: int) -> None:
        self._typed -= count
        if self._typed < 0:
            raise TooLarge(
                f"at most {self._limits.max_typed_elements} values that are no floats are taken as typed contents; "
                "send them in raw_input_contents"
            )


def _too_much(size: int) -> TooLarge:
    return TooLarge(f"beside its values a request may have {_MOST_BESIDE} bytes, got {size}")


def fields(message: Buffer, position: int, end: int) -> Iterator[Field]:
    """Tag and bounds of each field's payload; what is in a group counts like what is beside it."""
    while position < end:
        start, tag = varint(message, position)
        kind = tag & 7
        if kind == 2:  # noqa: PLR2004 - protobuf's wire types: a length and so many bytes
            start, size = varint(message, start)
            position = start + size
        elif kind == 0:
            position, _ = varint(message, start)
        else:
            position = start + _SIZES.get(kind, end)
        if position > end:
            raise IndexError
        yield tag, start, position
