"""ModelInferRequest to tensors (answers: see rendering.py).

Clients write the fields in their order, so that raw contents come last. What stands before them is the same in request
after request of a caller: it is parsed once, and remembered by its bytes. The contents are cut out where they stand,
without a copy of large ones. Measured for one row of 32 floats: 2 us, and 9 us by the parsed message.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import lru_cache
from typing import NamedTuple

from serving.edge.binary_elements import at_once, check_elements
from serving.edge.grpc import parameters
from serving.edge.grpc.elements import typed
from serving.edge.grpc.extent import Extent, most_fields, not_a_request, parsed_request, varint
from serving.edge.grpc.large_request import cut_apart
from serving.edge.grpc.limits import GrpcLimits
from serving.edge.grpc.typed_steps import Contents, typed_steps
from serving.errors import BadRequest
from serving.inference import ELEMENT_SIZE, Buffer, Tensor
from serving.protocol.descriptors import DecodeError
from serving.protocol.open_inference import ModelInferRequest

_RAW = 0x3A
# Field number and wire type of what may stand before raw contents.
_FIELDS = frozenset((0x0A, 0x12, 0x1A, 0x22, 0x2A, 0x32))
_LONGEST_REMEMBERED = 4096
# What protobuf parses at once: 16 KB may be as many values, and take 3 ms.
_AT_ONCE = 16_384
_MAX_ID = 4096
_MAX_DIGITS = 15
# The tensor stream counts a dimension in 32 bits.
_LONGEST = 2**31 - 1
# A slice below this size is cheaper than a view.
_SMALL = 4096

Bounds = list[tuple[int, int]]


class InputHead(NamedTuple):
    """An input without its raw contents: `data` is there where its contents are typed."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    elements: int
    data: Buffer | None


class Asked(NamedTuple):
    """What a request says beside its raw contents; `outputs` None asks for all, `version` None for the default one."""

    model: str
    version: int | None
    id: str
    outputs: tuple[str, ...] | None
    timeout_s: float | None
    priority: int
    inputs: tuple[InputHead, ...]


class Decoded(NamedTuple):
    """A request: its tensors in the caller's order, and those of many strings, which are still to be looked at."""

    asked: Asked
    tensors: list[Tensor]
    unchecked: tuple[tuple[Tensor, int], ...] = ()


Steps = Generator[None, None, Decoded]


class Codec:
    """Decodes requests by the limits; remembers what repeats."""

    def __init__(self, limits: GrpcLimits) -> None:
        self._limits = limits
        self._most_fields = most_fields(limits)
        self._remembered = lru_cache(maxsize=1024)(self._asked)
        # What stood before the last request's raw contents, with the first byte of these: most often it comes again.
        self._last_head = b"\xff"
        self._last_asked: Asked | None = None

    def decode(self, message: Buffer) -> Decoded | Steps:
        """What is asked, and its tensors in the caller's order; names and shapes are checked by the model's side.

        A large message is a view, of which the tensors are parts. Where typed contents, or fields in another order than
        usual, would take long, it is the steps to what is asked, which raise in their turn.

        Raises:
            BadRequest: names the input and what would be right.
            TooLarge: see `elements.typed`.
        """
        last = self._last_head
        same = message.startswith(last) if type(message) is bytes else message[: len(last)] == last
        if same and self._last_asked is not None:
            bounds = raw_bounds(message, len(last) - 1, self._limits.max_tensors)
            if bounds is not None:
                return self._decoded(self._last_asked, _cut_all(message, bounds))
        begin = head_end(message, self._most_fields)
        bounds = None if begin is None else raw_bounds(message, begin, self._limits.max_tensors)
        if len(message) > _AT_ONCE and (begin is None or bounds is None or begin > _AT_ONCE):
            return self._steps(message)
        if begin is None or bounds is None:
            return self._decode_parsed(message)
        if begin > _LONGEST_REMEMBERED:
            return self._decoded(self._asked(bytes(message[:begin])), _cut_all(message, bounds))
        asked = self._remembered(bytes(message[:begin]))
        if bounds:
            self._last_head, self._last_asked = bytes(message[: begin + 1]), asked
        return self._decoded(asked, _cut_all(message, bounds))

    def _steps(self, message: Buffer) -> Steps:
        try:
            extent = Extent(message, self._limits)
            head, raw, typed_ones = cut_apart(message, extent)
            asked = self._asked(head)
            inputs = list(asked.inputs)
            for place, bounds in typed_ones.items():
                one = inputs[place]
                if bounds:
                    contents = Contents(one.name, one.datatype, one.elements, message, bounds)
                    inputs[place] = one._replace(data=(yield from typed_steps(contents, extent, self._limits)))
        except (DecodeError, IndexError):
            raise not_a_request() from None
        return self._decoded(asked._replace(inputs=tuple(inputs)), raw)

    def _decode_parsed(self, message: Buffer) -> Decoded:
        """A request whose fields stand in another order, or among some that nobody knows."""
        request = parsed_request(bytes(message), self._limits)
        contents: list[Buffer] = list(request.raw_input_contents)
        del request.raw_input_contents[:]
        return self._decoded(self._said(request), contents)

    def _decoded(self, asked: Asked, contents: Sequence[Buffer]) -> Decoded:
        inputs = asked.inputs
        if not contents:
            return Decoded(asked, [Tensor(one.name, one.datatype, one.shape, _typed_data(one)) for one in inputs])
        if len(contents) != len(inputs):
            raise BadRequest(
                f"raw_input_contents has {len(contents)} entries for {len(inputs)} inputs; each input needs one"
            )
        longest = self._limits.max_string_bytes
        tensors = []
        unchecked: tuple[tuple[Tensor, int], ...] = ()
        for (name, datatype, shape, count, data), raw in zip(inputs, contents, strict=True):
            if data is not None:
                raise BadRequest(f"input {name!r} has contents, and raw_input_contents are given; send one of them")
            tensor = Tensor(name, datatype, shape, raw)
            if at_once(datatype, count, raw):
                check_elements(name, datatype, count, raw, longest)
            else:
                unchecked = (*unchecked, (tensor, count))
            tensors.append(tensor)
        return Decoded(asked, tensors, unchecked)

    def _asked(self, head: bytes) -> Asked:
        return self._said(parsed_request(head, self._limits))

    def _said(self, request: ModelInferRequest) -> Asked:
        if not request.model_name:
            raise BadRequest("model_name is missing")
        if len(request.id) > _MAX_ID:
            raise BadRequest(f"id may have at most {_MAX_ID} characters, got {len(request.id)}")
        said = parameters.values_of(request.parameters)
        parameters.refuse_reserved(said)
        return Asked(
            request.model_name,
            version_of(request.model_version),
            request.id,
            self._outputs(request),
            parameters.timeout_s(said),
            parameters.priority(said),
            self._inputs(request),
        )

    def _inputs(self, request: ModelInferRequest) -> tuple[InputHead, ...]:
        most = self._limits.max_tensors
        if not request.inputs:
            raise BadRequest("inputs is empty; a request has at least one tensor")
        if len(request.inputs) > most:
            raise BadRequest(
                f"the request has {len(request.inputs)} inputs; at most {most} are taken (http.max_tensors)"
            )
        heads = tuple([self._input(tensor) for tensor in request.inputs])
        names = [head.name for head in heads]
        if len(set(names)) != len(names):
            twin = next(name for name in names if names.count(name) > 1)
            raise BadRequest(f"input {twin!r} is given twice")
        return heads

    def _input(self, tensor: ModelInferRequest.InferInputTensor) -> InputHead:
        name, datatype = tensor.name, tensor.datatype
        if datatype not in ELEMENT_SIZE:
            known = ", ".join(ELEMENT_SIZE)
            raise BadRequest(f"input {name!r}: unknown datatype {datatype[:40]!r}; known are {known}")
        if tensor.parameters:
            parameters.refuse_shared_memory(tensor.parameters, f"input {name!r}")
        shape = tuple(tensor.shape)
        count = self._count(name, datatype, shape)
        data = None
        if tensor.HasField("contents"):
            data = typed(name, datatype, count, tensor.contents, self._limits)
        return InputHead(name, datatype, shape, count, data)

    def _count(self, name: str, datatype: str, shape: tuple[int, ...]) -> int:
        limits = self._limits
        if len(shape) > limits.max_rank:
            raise BadRequest(
                f"input {name!r}: a shape has at most {limits.max_rank} dimensions (http.max_rank), got {len(shape)}"
            )
        count = 1
        for size in shape:
            if not 0 <= size <= _LONGEST:
                raise BadRequest(f"input {name!r}: shape holds integers from 0 to {_LONGEST}, got {size}")
            count *= size
        most, setting = limits.max_elements, "http.max_elements"
        if datatype == "BYTES":
            most, setting = limits.max_strings, "http.max_strings"
        if count > most:
            raise BadRequest(
                f"input {name!r}: shape {list(shape)} has {count} elements; a tensor may have {most} ({setting})"
            )
        return count

    def _outputs(self, request: ModelInferRequest) -> tuple[str, ...] | None:
        if len(request.outputs) > self._limits.max_tensors:
            most = self._limits.max_tensors
            raise BadRequest(
                f"outputs has {len(request.outputs)} entries; a request may have {most} (http.max_tensors)"
            )
        for output in request.outputs:
            if output.parameters:
                parameters.refuse_shared_memory(output.parameters, f"output {output.name!r}")
                if "classification" in output.parameters:
                    raise BadRequest(
                        f"output {output.name!r}: classification is not served; take the values and sort them"
                    )
        names = tuple([output.name for output in request.outputs])
        if len(set(names)) != len(names):
            raise BadRequest("outputs names an output twice")
        return names or None


def version_of(text: str) -> int | None:
    """The version that a request names; None where it names none.

    Raises:
        BadRequest: versions are whole numbers.
    """
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS and int(text)):
        raise BadRequest(f"a version is a whole number of 1 or more, or left out, got {text[:40]!r}")
    return int(text)


def head_end(message: Buffer, most: int) -> int | None:
    """Where raw contents begin; None where other fields than those of a request stand before them, or over `most`."""
    end = len(message)
    position = 0
    try:
        for _ in range(most):
            if position >= end or (tag := message[position]) == _RAW:
                return position if position <= end else None
            if tag not in _FIELDS:
                return None
            start, size = varint(message, position + 1)
            position = start + size
    except IndexError:
        pass
    return None


def raw_bounds(message: Buffer, begin: int, most: int) -> Bounds | None:
    """The bounds of each of the raw contents from `begin` on; None where anything else follows, or over `most`."""
    end = len(message)
    position = begin
    bounds: Bounds = []
    try:
        while position < end:
            if message[position] != _RAW:
                return None
            start, size = varint(message, position + 1)
            position = start + size
            if len(bounds) == most:
                return None
            bounds.append((start, position))
    except IndexError:
        return None
    return bounds if position == end else None


def _cut_all(message: Buffer, bounds: Bounds) -> list[Buffer]:
    return [message[start:end] if end - start < _SMALL else memoryview(message)[start:end] for start, end in bounds]


def _typed_data(one: InputHead) -> Buffer:
    if one.data is not None:
        return one.data
    if one.elements:
        raise BadRequest(f"input {one.name!r} has neither contents nor an entry in raw_input_contents")
    return b""
