"""What can be known of a model file before ONNX Runtime gets it: is it whole, and which files does it point to?"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from serving.errors import ModelUnservable
from serving.runtime.protobuf import Bytes, Field, Malformed, Truncated, fields

# Messages that can hold a tensor, by field number (onnx.proto3); what is not listed is skipped unread.
_NESTED = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_MODEL_FIELDS = frozenset((1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26))
_GRAPH_OF_MODEL, _INPUT_OF_GRAPH = 7, 11
# An attribute holds one kind of value. Tree ensembles have attributes of a million numbers, each a field of its own.
_PLAIN_VALUES_OF_ATTRIBUTE = frozenset((2, 3, 4, 7, 8))
_TENSOR_NAME, _TENSOR_EXTERNAL = 8, 13
_GIT_LFS = b"version https://git-lfs"


@dataclass(frozen=True, slots=True)
class ExternalData:
    """Weights that a tensor keeps in another file; `location` is as written, relative to the model file."""

    tensor: str
    location: str
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class ModelFile:
    """Facts of one file, read without loading it."""

    path: Path
    external: tuple[ExternalData, ...]
    unranked_inputs: frozenset[str]

    @classmethod
    def read(cls, path: Path) -> ModelFile:
        """Walk the file's outline.

        Raises:
            ModelUnservable: unreadable, empty, cut off, or not ONNX.
        """
        try:
            with path.open("rb") as file:
                size = file.seek(0, 2)
                if size == 0:
                    raise ModelUnservable(f"{path}: the file is empty; export or copy it again")
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as data:
                    return _outline(path, data)
        except OSError as error:
            raise ModelUnservable(f"{path}: cannot be read ({error.strerror}); put the exported model there") from error

    def check_external_data(self) -> None:
        """Every file that the model points to is there, long enough, and inside the version's folder.

        Raises:
            ModelUnservable: names the tensor and the path.
        """
        folder = self.path.parent
        for item in self.external:
            self._check(item, folder, folder.resolve())

    def _check(self, item: ExternalData, folder: Path, inside: Path) -> None:
        asked = f"{self.path}: weights {item.tensor!r} are in {item.location!r}"
        try:
            # Links are followed first: one that leads out of the folder would read any file of the machine.
            target = (folder / item.location).resolve()
            found = target.is_file()
        except (OSError, ValueError) as error:
            raise ModelUnservable(f"{asked}, which is no usable path; export again") from error
        if not item.location or Path(item.location).is_absolute() or not target.is_relative_to(inside):
            raise ModelUnservable(f"{asked}, outside the version's folder; export with that file beside the model")
        if not found:
            raise ModelUnservable(f"{asked}, which does not exist; copy it beside the model")
        needed = item.offset + item.length
        held = target.stat().st_size
        if held < needed:
            raise ModelUnservable(f"{asked}, which has {held} bytes where {needed} are needed; copy it again")


def _outline(path: Path, data: memoryview) -> ModelFile:
    if bytes(data[: len(_GIT_LFS)]) == _GIT_LFS:
        raise ModelUnservable(f"{path}: this is a Git LFS pointer, not the model; run git lfs pull")
    try:
        graph = _graph_of(path, data)
        external = tuple(_external(data, tensor) for tensor in _tensors(data, Field(0, 2, 0, 0, len(data)), "model"))
        return ModelFile(path, tuple(item for item in external if item), frozenset(_unranked(data, graph)))
    except Truncated as error:
        raise ModelUnservable(f"{path}: the file is cut off ({error}); copy it again") from error
    except Malformed as error:
        raise ModelUnservable(f"{path}: this is not an ONNX model ({error}); export it again") from error


def _graph_of(path: Path, data: memoryview) -> Field:
    graph = None
    for field in fields(data, 0, len(data)):
        if field.number not in _MODEL_FIELDS:
            raise Malformed(f"it has a field {field.number} that no ONNX model has")
        if field.number == _GRAPH_OF_MODEL and field.delimited:
            graph = field
    if graph is None:
        raise ModelUnservable(f"{path}: there is no graph in it, so it is not an ONNX model; export it again")
    return graph


def _tensors(data: Bytes, root: Field, kind: str) -> Iterator[Field]:
    # A list in place of recursion: the nesting of subgraphs is the file's choice.
    pending = [(root, kind)]
    while pending:
        message, name = pending.pop()
        nested = _NESTED[name]
        for field in fields(data, message.start, message.stop):
            inner = nested.get(field.number)
            if inner is not None and not field.delimited:
                raise Malformed(f"field {field.number} of a {name} is no message")
            if inner == "tensor":
                yield field
            elif inner is not None:
                pending.append((field, inner))
            elif name == "attribute" and field.number in _PLAIN_VALUES_OF_ATTRIBUTE:
                break


def _external(data: memoryview, tensor: Field) -> ExternalData | None:
    name = ""
    entries: dict[str, str] = {}
    for field in fields(data, tensor.start, tensor.stop):
        if field.number == _TENSOR_NAME and field.delimited:
            name = _text(data, field)
        elif field.number == _TENSOR_EXTERNAL and field.delimited:
            key, value = (_first_text(data, field, number) for number in (1, 2))
            entries[key] = value
    if not entries:
        return None
    return ExternalData(
        name, entries.get("location", ""), _number(entries.get("offset")), _number(entries.get("length"))
    )


def _unranked(data: memoryview, graph: Field) -> Iterator[str]:
    for value in fields(data, graph.start, graph.stop):
        if value.number != _INPUT_OF_GRAPH:
            continue
        # ValueInfo.type = 2, TypeProto.tensor_type = 1, Tensor.shape = 2
        for kind in _messages(data, value, 2):
            for tensor in _messages(data, kind, 1):
                if not any(True for _ in _messages(data, tensor, 2)):
                    yield _first_text(data, value, 1)


def _messages(data: memoryview, message: Field, number: int) -> Iterator[Field]:
    for field in fields(data, message.start, message.stop):
        if field.number == number and field.delimited:
            yield field


def _first_text(data: memoryview, message: Field, number: int) -> str:
    for field in _messages(data, message, number):
        return _text(data, field)
    return ""


def _text(data: memoryview, field: Field) -> str:
    return bytes(data[field.start : field.stop]).decode(errors="replace")


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() else 0
