"""The binary tensor extension: a JSON document, and behind it the elements of inputs that say how many bytes they are.

Tensors are slices of the body. What the JSON part says is remembered by its bytes: clients that send one shape over and
over repeat it, and then no JSON is parsed at all.
"""

from __future__ import annotations

from collections.abc import Generator
from functools import lru_cache, partial
from struct import Struct
from typing import NamedTuple

from serving.edge.binary_elements import at_once, check_elements, string_steps, too_long
from serving.edge.http import codec
from serving.edge.http.codec import Asked
from serving.edge.http.elements import may_have_booleans
from serving.edge.http.limits import HttpLimits
from serving.edge.http.request_options import Options, binary_size, options_of
from serving.edge.typed_elements import shown
from serving.errors import BadRequest
from serving.inference import ELEMENT_SIZE, Buffer, Signature, Tensor, TensorSpec

# Longer documents are read anew each time, so that what is remembered is bounded.
_REMEMBERED = 2048
# Below this a copy is cheaper than a view (0.06 against 0.15 us), and begins where a model can read it.
_COPIED_BYTES = 4096
_LENGTH = Struct("<I")
_ALL_BINARY = Options(binary=True)


class Part(NamedTuple):
    """One input of the JSON part: `data` where its values stood there, else the `size` of its bytes behind it.

    A size of -1 is all that there is: the only input of a request that does not say.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    elements: int
    size: int
    data: Buffer | None


class Layout(NamedTuple):
    """What the JSON part of a body says."""

    parts: tuple[Part, ...]
    options: Options


class BinaryBodies:
    """Reads bodies with binary tensors, within `limits`."""

    def __init__(self, limits: HttpLimits) -> None:
        self._limits = limits
        self._remembered = lru_cache(maxsize=512)(partial(read, limits=limits))

    def decode(self, body: Buffer, json_size: int) -> Asked:
        """Tensors of a body whose first `json_size` bytes are JSON.

        Raises:
            BadRequest: names the input, and what would be right.
        """
        if json_size > len(body):
            raise BadRequest(
                f"Inference-Header-Content-Length is {json_size}, but the body has {len(body)} bytes; "
                "it is the length of the JSON part"
            )
        document = bytes(body[:json_size])
        layout = self._remembered(document) if json_size <= _REMEMBERED else read(document, self._limits)
        return cut(layout, body, json_size, self._limits)


def read(document: bytes, limits: HttpLimits) -> Layout:
    """What a JSON part says; raises BadRequest as the codec does."""
    parsed = codec.parse(document)
    inputs = codec.listed_inputs(parsed, limits)
    booleans = may_have_booleans(document)
    only = len(inputs) == 1
    parts = tuple(
        _part(entry, position, limits, only=only)
        if type(entry) is not dict or "data" not in entry
        else _given(codec.json_tensor(entry, position, booleans, limits))
        for position, entry in enumerate(inputs)
    )
    codec.refuse_twins([part.name for part in parts])
    return Layout(parts, options_of(parsed, limits.max_tensors))


def all_given(document: bytes, limits: HttpLimits) -> Layout:
    """What a body says that is JSON and nothing else; raises BadRequest as the codec does."""
    asked = codec.decode(document, limits)
    return Layout(tuple([_given(tensor) for tensor in asked.inputs]), asked.options)


def cut(layout: Layout, body: Buffer, start: int, limits: HttpLimits) -> Asked:
    """The tensors whose elements follow one another from `start` to the end of the body.

    Raises:
        BadRequest: bytes are missing or left over, or are no elements of their datatype.
    """
    tensors = []
    unchecked: tuple[tuple[Tensor, int], ...] = ()
    end = len(body)
    for name, datatype, shape, count, size, data in layout.parts:
        elements = data
        if elements is None:
            stop = end if size < 0 else start + size
            if stop > end:
                raise BadRequest(
                    f"input {name!r} says `binary_data_size` {size}, but only {end - start} bytes are left for it"
                )
            elements = bytes(body[start:stop]) if stop - start < _COPIED_BYTES else memoryview(body)[start:stop]
            start = stop
            if at_once(datatype, count, elements):
                check_elements(name, datatype, count, elements, limits.max_string_bytes)
            else:
                unchecked = (*unchecked, (Tensor(name, datatype, shape, elements), count))
        tensors.append(Tensor(name, datatype, shape, elements))
    if start != end:
        raise BadRequest(
            f"{end - start} bytes are left after the last input; the `binary_data_size` of all inputs and "
            "Inference-Header-Content-Length together are the length of the body"
        )
    return Asked(tensors, layout.options, unchecked)


def check_steps(asked: Asked, limits: HttpLimits) -> Generator[None, None, Asked]:
    """Look at the strings that were left unchecked.

    Raises:
        BadRequest: they are no BYTES elements.
    """
    for tensor, count in asked.unchecked:
        yield from string_steps(tensor.name, count, tensor.data, limits.max_string_bytes)
    return Asked(asked.inputs, asked.options)


def raw(body: Buffer, signature: Signature, limits: HttpLimits) -> Asked:
    """A body without JSON, all of which is the model's only input, as one row; every output is answered in binary.

    Raises:
        BadRequest: the model has several inputs, or its shape and datatype cannot be told from the number of bytes.
    """
    if len(signature.inputs) != 1:
        names = ", ".join(spec.name for spec in signature.inputs)
        raise BadRequest(
            f"a raw request (Inference-Header-Content-Length 0) is for models of one input; this one has {names}"
        )
    spec = signature.inputs[0]
    size = ELEMENT_SIZE[spec.datatype]
    count = len(body) // size if size else 1
    shape = _raw_shape(spec, count)
    if not size:
        if len(body) > limits.max_string_bytes:
            raise too_long(spec.name, 0, len(body), limits.max_string_bytes)
        # The whole body is the one element, whatever is in it.
        body = b"".join((_LENGTH.pack(len(body)), body))
    wanted = codec.counted(spec.name, list(shape), limits)
    if not at_once(spec.datatype, wanted, body):
        tensor = Tensor(spec.name, spec.datatype, shape, memoryview(body))
        return Asked([tensor], _ALL_BINARY, ((tensor, wanted),))
    check_elements(spec.name, spec.datatype, wanted, body, limits.max_string_bytes)
    return Asked([Tensor(spec.name, spec.datatype, shape, body)], _ALL_BINARY)


def _part(entry: object, position: int, limits: HttpLimits, *, only: bool) -> Part:
    name, datatype, shape, fields = codec.facts(entry, position)
    size = binary_size(fields, name)
    if size is None and not only:
        raise BadRequest(f"input {name!r} has neither `data` nor `parameters.binary_data_size`; send one of them")
    if datatype not in ELEMENT_SIZE:
        known = ", ".join(ELEMENT_SIZE)
        raise BadRequest(f"input {name!r}: unknown datatype {shown(datatype)}; known are {known}")
    count = codec.counted(name, shape, limits)
    if datatype == "BYTES" and count > limits.max_strings:
        raise codec.too_many_strings(name, count, limits)
    return Part(name, datatype, tuple(shape), count, -1 if size is None else size, None)


def _given(tensor: Tensor) -> Part:
    return Part(tensor.name, tensor.datatype, tensor.shape, 0, 0, tensor.data)


def _raw_shape(spec: TensorSpec, count: int) -> tuple[int, ...]:
    """One row of the declared shape; the one size that may be left open is what the bytes make it."""
    shape = list(spec.shape)
    if shape and shape[0] < 0:
        shape[0] = 1
    open_sizes = shape.count(-1)
    known = 1
    for size in shape:
        known *= abs(size)
    if open_sizes > 1:
        raise BadRequest(
            f"a raw request cannot tell shape {list(spec.shape)} of input {spec.name!r}: more than one size is open"
        )
    return tuple(count // known if size < 0 else size for size in shape)
