"""A model of the server under test: what its metadata says, inputs that fit it, and what it must answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serving.conformance.check import Failed
from serving.conformance.datatypes import DATATYPES
from serving.conformance.known_models import KNOWN, KnownModel
from serving.conformance.onnx_file import Spec
from serving.conformance.tensors import Tensor, close, product, same, shown

# Open dimensions other than the rows get this size: small, and not 1, which would hide a mistaken order.
_OPEN = 2


@dataclass(frozen=True, slots=True)
class ServedModel:
    """`known` is set where it is one of the suite's own models; others are only compared with themselves."""

    name: str
    inputs: tuple[Spec, ...]
    outputs: tuple[Spec, ...]
    versions: tuple[str, ...] = ()
    known: KnownModel | None = None

    @property
    def rows(self) -> bool:
        """Every input begins with an open dimension: several rows can be asked at once."""
        return all(spec.shape[:1] == (-1,) for spec in self.inputs)

    @property
    def in_json(self) -> bool:
        """JSON can carry its inputs and outputs."""
        return all(DATATYPES[spec.datatype].in_json for spec in (*self.inputs, *self.outputs))

    def plain_inputs(self, rows: int = 2) -> list[Tensor]:
        """Harmless values; rows differ."""
        return [_plain(spec, rows) for spec in self.inputs]

    def telling_inputs(self, rows: int = 2, start: int = 0) -> list[Tensor]:
        """Values that differ from element to element and, by `start`, from request to request."""
        return [_counting(spec, rows, start) for spec in self.inputs] if self.known else self.plain_inputs(rows)

    def check(self, inputs: Sequence[Tensor], got: Mapping[str, Tensor], *, bits: bool = True) -> None:
        """Compare with what is known of the model, or else with its metadata; `bits` asks for equal elements.

        Raises:
            Failed: says what differs.
        """
        if self.known is None:
            self._check_form(got)
            return
        for name, expected in self.known.answers({one.name: one for one in inputs}).items():
            if name not in got:
                raise Failed(f"the answer has no output {name!r}, only {sorted(got)}")
            differs = same(expected, got[name]) if bits else _roughly(expected, got[name])
            if differs:
                raise Failed(differs)

    def _check_form(self, got: Mapping[str, Tensor]) -> None:
        for spec in self.outputs:
            tensor = got.get(spec.name)
            if tensor is None:
                raise Failed(f"the answer has no output {spec.name!r}, only {sorted(got)}")
            if tensor.datatype != spec.datatype:
                raise Failed(f"output {spec.name!r} has datatype {tensor.datatype}, metadata says {spec.datatype}")


def served_model(name: str, metadata: Mapping[str, Any]) -> ServedModel:
    """A model by its metadata, which a check of its own judges: what cannot be used of it is left out."""
    inputs, outputs = specs_of(metadata.get("inputs")), specs_of(metadata.get("outputs"))
    versions = metadata.get("versions")
    known = KNOWN.get(name)
    if known and [(s.name, s.datatype) for s in known.graph.inputs] != [(s.name, s.datatype) for s in inputs]:
        # Another model under the same name, or metadata that a check will tell about: trust the graph we wrote.
        inputs, outputs = known.graph.inputs, known.graph.outputs
    listed = [str(version) for version in versions] if isinstance(versions, list) else []
    return ServedModel(name, inputs, outputs, tuple(listed), known)


def specs_of(entries: object) -> tuple[Spec, ...]:
    """Inputs or outputs of metadata, those that can be read."""
    readable = [entry for entry in entries if _readable(entry)] if isinstance(entries, list) else []
    return tuple(Spec(str(entry.get("name")), str(entry["datatype"]), tuple(entry["shape"])) for entry in readable)


def _readable(entry: object) -> bool:
    if not isinstance(entry, dict) or entry.get("datatype") not in DATATYPES:
        return False
    shape = entry.get("shape")
    return isinstance(shape, list) and all(type(size) is int for size in shape)


def closed(spec: Spec, rows: int) -> tuple[int, ...]:
    """The shape with its open dimensions closed."""
    return tuple(size if size >= 0 else rows if place == 0 else _OPEN for place, size in enumerate(spec.shape))


def _plain(spec: Spec, rows: int) -> Tensor:
    shape, datatype = closed(spec, rows), DATATYPES[spec.datatype]
    count = product(shape)
    width = max(1, count // shape[0]) if shape and shape[0] else 1
    values = [datatype.plain(number // width) for number in range(count)]
    return Tensor(spec.name, spec.datatype, shape, datatype.array(values))


def _counting(spec: Spec, rows: int, start: int) -> Tensor:
    shape, datatype = closed(spec, rows), DATATYPES[spec.datatype]
    numbers = range(start, start + product(shape))
    values: list[Any]
    if datatype.name == "BYTES":
        values = [f"element {number}" for number in numbers]
    elif datatype.name == "BOOL":
        values = [number % 3 == 0 for number in numbers]
    elif datatype.name == "FP16":
        values = [float(number % 2048) for number in numbers]
    else:
        values = [number % 120 if datatype.integer or datatype.name == "BF16" else number + 0.5 for number in numbers]
    return Tensor(spec.name, spec.datatype, shape, datatype.array(values))


def _roughly(expected: Tensor, got: Tensor) -> str:
    if (got.datatype, got.shape) != (expected.datatype, expected.shape):
        return same(expected, got)
    if close(expected.values, got.values):
        return ""
    return f"output {got.name!r} has {shown(got)}, not {shown(expected)}"
