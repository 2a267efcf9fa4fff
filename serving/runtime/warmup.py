"""Warming a model up before it is ready, and proving on the way whether its rows may run together."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from serving.errors import ModelFailed, ModelUnservable
from serving.inference import Signature, TensorSpec
from serving.runtime.onnx_session import OnnxSession
from serving.runtime.row_equality import Rows, differing, told_apart
from serving.runtime.samples import Sample, Shape, alike, made_up, owners, shape_of, stacked
from serving.runtime.tensor_arrays import Array

_ROWS = 6
_FEWEST_ROWS = 2
# Kernels change with size (onnxruntime's tree ensembles do at 50 rows), so a large batch is compared where it is cheap.
_LARGE_BATCH = 64
_LARGE_BATCH_BYTES = 1 << 20
_LARGE_BATCH_S = 0.5
# A model of seconds per row is not run more often than it must.
_BUDGET_S = 5.0
_TIMED_RUNS = 5


@dataclass(frozen=True, slots=True)
class WarmUp:
    """What a warm-up found.

    `note` says why rows may not run together, in a form that tells the owner what to do. `signature` is the declared
    one, with output shapes corrected to what the model really answers. `run_s`: the median time of one warm row, 0.0
    when no input was accepted. `stackable`: every input has an open dimension 0. `sample` is one that the model took.
    """

    signature: Signature
    note: str
    run_s: float
    stackable: bool
    sample: Sample | None = None

    @property
    def batchable(self) -> bool:
        """Nothing speaks against rows running together."""
        return not self.note


class Seen(NamedTuple):
    """An input that the model took, and what it answered."""

    sample: Sample
    answer: list[Array]


def warm_up(
    session: OnnxSession, samples: Sequence[Mapping[str, object]] = (), clock: Callable[[], float] = time.perf_counter
) -> WarmUp:
    """Run the model until it is warm; rows alone and together must give the same answers, row by row.

    Raises:
        ModelUnservable: a sample of the owner's does not fit or is refused by the model.
    """
    closed = _closed_input(session.signature)
    # One whose rows cannot run together proves nothing with a second input.
    enough = 1 if closed else _ROWS
    accepted, refusal = _accepted(session, owners(samples, session.signature), clock, enough)
    if not accepted:
        note = f"no made-up warm-up input was accepted ({refusal}); give samples in model.yaml"
        return WarmUp(session.signature, closed or note, 0.0, stackable=not closed)
    run_s, answer = _timed(session, accepted[0].sample, clock)
    note = closed or _objection(session, accepted, answer, run_s)
    signature = _observed(session.signature, answer, batchable=not note)
    return WarmUp(signature, note, run_s, stackable=not closed, sample=accepted[0].sample)


def _closed_input(signature: Signature) -> str:
    for spec in signature.inputs:
        if not spec.shape:
            return f"input {spec.name!r} is a single value, without a dimension for rows"
        if spec.shape[0] != -1:
            return (
                f"input {spec.name!r} fixes its first dimension to {spec.shape[0]}; "
                "export it with an open batch dimension to have rows run together"
            )
    return ""


def _accepted(
    session: OnnxSession, given: list[Sample], clock: Callable[[], float], enough: int
) -> tuple[list[Seen], str]:
    """Inputs of one shape that the model takes, the owner's first, then made-up ones until there are enough."""
    started = clock()
    owned = [_owners_answer(session, number, sample) for number, sample in enumerate(given)]
    refusal = ""
    for shape, candidates in _candidates(session.signature, given):
        accepted = [seen for seen in owned if shape_of(seen.sample) == shape][:enough]
        for sample in candidates:
            if len(accepted) >= enough or (len(accepted) >= _FEWEST_ROWS and clock() - started > _BUDGET_S):
                break
            try:
                accepted.append(Seen(sample, session.run(sample)))
            except ModelFailed as error:
                refusal = refusal or error.message
        if accepted:
            return accepted, ""
    return [], refusal


def _candidates(signature: Signature, given: list[Sample]) -> Iterator[tuple[Shape, list[Sample]]]:
    if not given:
        return made_up(signature)
    shape = shape_of(given[0])
    return iter([(shape, alike(signature.inputs, shape))])


def _owners_answer(session: OnnxSession, number: int, sample: Sample) -> Seen:
    try:
        return Seen(sample, session.run(sample))
    except ModelFailed as error:
        raise ModelUnservable(
            f"model.yaml: row {number} of samples was refused ({error.message}); give rows that the model takes"
        ) from error


def _timed(session: OnnxSession, sample: Sample, clock: Callable[[], float]) -> tuple[float, list[Array]]:
    times = []
    answer: list[Array] = []
    started = clock()
    for _ in range(_TIMED_RUNS):
        before = clock()
        answer = session.run(sample)
        times.append(clock() - before)
        if clock() - started > _BUDGET_S:
            break
    return statistics.median(times), answer


def _objection(session: OnnxSession, seen: list[Seen], again: list[Array], run_s: float) -> str:
    """Why these rows do not prove that rows may run together; empty when they do."""
    outputs = session.signature.outputs
    rows, alone = [one.sample for one in seen], [one.answer for one in seen]
    shape = _not_by_row(outputs, again, 1)
    if shape:
        return shape
    if differing(outputs, again, alone[:1]):
        return "the same row got different answers, so nothing can be compared"
    for order in _orders(rows, run_s):
        try:
            together = session.run(stacked([rows[index] for index in order]))
        except ModelFailed as error:
            return f"rows that run alone fail together ({error.message})"
        found = _not_by_row(outputs, together, len(order)) or differing(
            outputs, together, [alone[index] for index in order]
        )
        if found:
            return found
    if not told_apart(outputs, alone):
        return "all warm-up rows got the same answer, so nothing was proven; give different samples in model.yaml"
    return ""


def _orders(rows: list[Sample], run_s: float) -> list[list[int]]:
    count = len(rows)
    orders = [list(range(count)), list(range(count - 1, -1, -1)), [0, count - 1]]
    row_bytes = sum(array.nbytes for array in rows[0])
    if row_bytes * _LARGE_BATCH <= _LARGE_BATCH_BYTES and run_s * _LARGE_BATCH <= _LARGE_BATCH_S:
        # Each round begins one row later, so that the same row never stands at the same distance from itself.
        orders.append([(index + index // count) % count for index in range(_LARGE_BATCH)])
    return orders


def _not_by_row(outputs: Sequence[TensorSpec], arrays: Rows, rows: int) -> str:
    for spec, array in zip(outputs, arrays, strict=True):
        if not array.ndim or array.shape[0] != rows:
            return f"output {spec.name!r} has shape {list(array.shape)} for {rows} row{'s' * (rows != 1)}"
    return ""


def _observed(signature: Signature, answer: Sequence[Array], *, batchable: bool) -> Signature:
    outputs = tuple(
        _corrected(spec, array.shape, batchable=batchable)
        for spec, array in zip(signature.outputs, answer, strict=True)
    )
    return Signature(signature.inputs, outputs, signature.optional)


def _corrected(spec: TensorSpec, shape: tuple[int, ...], *, batchable: bool) -> TensorSpec:
    # LightGBM's exports declare their label as [1] and answer one for each row; some outputs declare no shape at all.
    if len(spec.shape) != len(shape):
        dimensions = [-1] * len(shape)
    else:
        dimensions = [
            declared if declared == actual else -1 for declared, actual in zip(spec.shape, shape, strict=True)
        ]
    if batchable:
        dimensions[0] = -1
    return TensorSpec(spec.name, spec.datatype, tuple(dimensions))
