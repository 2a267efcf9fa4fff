"""Checks a request's tensors against what the version takes, once, before anything waits for it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from serving.errors import BadRequest
from serving.inference import Hosted, Request, Tensor, TensorSpec


class Given:
    """The group of a request that gives optional inputs, whose `bits` say which: it runs whole and shares with nobody.

    What batches were proven with is the model's own default, and an optional input has no row for each of the others'.
    """

    __slots__ = ("bits",)

    def __init__(self, bits: int) -> None:
        self.bits = bits


class Intake:
    """What one version takes, prepared for the comparison that each request needs.

    Raises `BadRequest` from `check` for a missing, unknown or doubled input, another datatype, or another shape.
    """

    def __init__(self, hosted: Hosted) -> None:
        self._model = hosted.key.model
        self._inputs = hosted.signature.inputs
        self._batchable = hosted.batchable
        self._optional = hosted.signature.optional
        self._names = [spec.name for spec in self._inputs]
        self._known = {*self._names, *(spec.name for spec in self._optional)}
        self._fixed = hosted.batchable and all(spec.fixed_trailing for spec in self._inputs)
        self._only = self._inputs[0] if self._fixed and len(self._inputs) == 1 else None
        self._only_trailing = self._only.trailing if self._only else ()

    def check(self, request: Request) -> None:
        """Set the request's inputs in the signature's order, its rows, size in bytes, and batching group."""
        inputs = request.inputs
        only = self._only
        if only is not None and len(inputs) == 1:
            # The usual case costs one comparison per fact; everything else takes the long way round.
            tensor = inputs[0]
            shape = tensor.shape
            if (
                tensor.name == only.name
                and tensor.datatype == only.datatype
                and shape[1:] == self._only_trailing
                and shape
                and shape[0]
            ):
                request.rows = shape[0]
                request.size = len(tensor.data)
                return
        self._check_all(request)

    def _check_all(self, request: Request) -> None:
        given = self._by_name(request.inputs)
        tensors = [given[name] for name in self._names]
        for spec, tensor in zip(self._inputs, tensors, strict=True):
            self._check_tensor(spec, tensor, rows=self._batchable)
        more = self._given_optional(given)
        request.inputs = [*tensors, *(tensor for _, tensor in more)]
        request.size = sum(len(tensor.data) for tensor in request.inputs)
        if more:
            request.rows = 1
            request.group = Given(sum(1 << place for place, _ in more))
            return
        request.rows = self._rows(tensors) if self._batchable else 1
        request.group = None if self._fixed else self._group(tensors)

    def _given_optional(self, given: Mapping[str, Tensor]) -> list[tuple[int, Tensor]]:
        """The optional inputs that the request has, each with its place among all of them."""
        found = []
        for place, spec in enumerate(self._optional):
            if spec.name in given:
                self._check_tensor(spec, given[spec.name], rows=False)
                found.append((place, given[spec.name]))
        return found

    def _by_name(self, inputs: Sequence[Tensor]) -> Mapping[str, Tensor]:
        given = {tensor.name: tensor for tensor in inputs}
        if len(given) != len(inputs):
            raise BadRequest(f"an input of {self._model!r} is given twice; send each of {self._names} once")
        unknown = [name for name in given if name not in self._known]
        if unknown:
            names = [spec.name for spec in (*self._inputs, *self._optional)]
            raise BadRequest(f"model {self._model!r} has no input {unknown[0]!r}; its inputs are {names}")
        missing = [name for name in self._names if name not in given]
        if missing:
            raise BadRequest(f"input {missing[0]!r} of model {self._model!r} is missing; its inputs are {self._names}")
        return given

    def _check_tensor(self, spec: TensorSpec, tensor: Tensor, *, rows: bool) -> None:
        if tensor.datatype != spec.datatype:
            raise BadRequest(
                f"input {spec.name!r} has datatype {tensor.datatype}; model {self._model!r} takes {spec.datatype}"
            )
        # A batchable version takes any number of rows, whatever its first dimension was declared as.
        first = 1 if rows else 0
        wanted, given = spec.shape[first:], tensor.shape[first:]
        fits = len(tensor.shape) == len(spec.shape) and all(
            size in (-1, have) for size, have in zip(wanted, given, strict=True)
        )
        if not fits:
            shape = [-1, *wanted] if rows else [*wanted]
            raise BadRequest(
                f"input {spec.name!r} has shape {list(tensor.shape)}; model {self._model!r} takes {shape}"
                + (" (-1 is any size)" if -1 in shape else "")
            )

    def _rows(self, tensors: Sequence[Tensor]) -> int:
        rows = tensors[0].shape[0]
        for tensor in tensors:
            if tensor.shape[0] != rows:
                raise BadRequest(
                    f"input {tensor.name!r} has {tensor.shape[0]} rows and {tensors[0].name!r} has {rows}; "
                    "all inputs need the same number of rows (dimension 0)"
                )
        if not rows:
            raise BadRequest(f"the request has no rows; dimension 0 of {tensors[0].name!r} must be at least 1")
        return rows

    @staticmethod
    def _group(tensors: Sequence[Tensor]) -> Hashable:
        return tuple(tensor.shape[1:] for tensor in tensors)
