"""A version that is loaded and warm: takes a batch's inputs as bytes, gives its outputs as bytes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from serving.errors import ModelFailed
from serving.inference import Hosted, Stacked, Tensor
from serving.runtime.onnx_session import Interrupt, OnnxSession
from serving.runtime.samples import Sample
from serving.runtime.source import Batching, ModelSource
from serving.runtime.speed import runs_a_second
from serving.runtime.tensor_arrays import Array, as_arrays, as_tensors
from serving.runtime.warmup import WarmUp, warm_up

__all__ = ["LoadedModel", "ModelSource"]

# Whatever else runs on the machine only takes: the fastest is the model's own.
_MEASURED_TIMES = 3


class LoadedModel:
    """Runs batches of one version; `hosted` is what the gateway may know of it."""

    __slots__ = ("_outputs", "_required", "_sample", "_session", "hosted")

    def __init__(self, session: OnnxSession, hosted: Hosted, sample: Sample | None = None) -> None:
        self._session = session
        self._sample = sample
        self._outputs = hosted.signature.outputs
        self._required = len(hosted.signature.inputs)
        self.hosted = hosted

    @classmethod
    def open(cls, source: ModelSource) -> LoadedModel:
        """Load, warm up and prove; takes as long as the model needs, so never on an event loop.

        Raises:
            ModelUnservable: which file, what is wrong with it and what to do.
        """
        session = OnnxSession.open(source.path, source.options, str(source.key))
        warmth = warm_up(session, source.samples)
        batchable, note = _decided(warmth, source.batching)
        hosted = Hosted(source.key, warmth.signature, batchable, note, source.max_rows, warmth.run_s)
        return cls(session, hosted, warmth.sample)

    def run(
        self, inputs: Sequence[Stacked | Tensor], rows: int, interrupt: Interrupt | None = None
    ) -> tuple[Tensor, ...]:
        """Outputs in the signature's order; `rows` is 0 for a request that runs whole, as it is.

        Raises:
            ModelFailed: the model raised, or answered with other rows than it was given.
        """
        # Those of a request that gives optional inputs are more than usual.
        names = () if len(inputs) == self._required else [item.name for item in inputs]
        arrays = self._session.run(as_arrays(inputs), interrupt, names)
        if rows:
            self._check_rows(arrays, rows)
        return as_tensors(arrays, self._outputs)

    def speed(self, threads: int) -> float:
        """Warm-up runs a second of so many threads at once; 0.0 where no input is known that the model takes."""
        sample = self._sample
        if sample is None:
            return 0.0
        return max(runs_a_second(partial(self._session.run, sample), threads) for _ in range(_MEASURED_TIMES))

    def _check_rows(self, arrays: Sequence[Array], rows: int) -> None:
        # A short answer would give some caller another caller's row, so nobody gets anything.
        for position, array in enumerate(arrays):
            shape = array.shape
            if not shape or shape[0] != rows:
                raise ModelFailed(
                    f"model {self._session.name} answered {rows} rows with output {self._outputs[position].name!r} "
                    f"of shape {list(shape)}; every output must have one entry for each row"
                )


def _decided(warmth: WarmUp, batching: Batching) -> tuple[bool, str]:
    if batching == "never":
        return False, "model.yaml says batching: never"
    if batching == "forced" and not warmth.batchable:
        note = f"model.yaml says batching: forced, but {warmth.note}"
        return warmth.stackable, note
    return warmth.batchable, warmth.note
