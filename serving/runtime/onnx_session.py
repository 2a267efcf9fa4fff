"""One loaded ONNX model: the file that calls onnxruntime, and translates everything it raises."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from serving.errors import ModelFailed, ModelUnservable
from serving.inference import Signature
from serving.runtime.failure_text import load_failure, run_failure
from serving.runtime.model_file import ModelFile
from serving.runtime.options import RuntimeOptions
from serving.runtime.signature import optional_inputs, signature_of
from serving.runtime.tensor_arrays import Array

# Recent releases (seen in 1.32) report to their maker, already when imported, and leave a file in the temporary folder.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime as ort

from serving.runtime.value_run import RunArrays, needs_values, run_by_values

_OPTIMISATION = {
    "off": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}

# Nothing but fatal errors: what a model raises is answered to its caller, and would fill the log once per batch.
_LOG_FATAL = 4


class Interrupt:
    """Lets another thread end a run, which then stops at the next node of the graph."""

    __slots__ = ("options",)

    def __init__(self) -> None:
        self.options = ort.RunOptions()

    def fire(self) -> None:
        """May be called before, during and after the run."""
        self.options.terminate = True


class OnnxSession:
    """A model that is ready to run; several threads may run it at once, and the GIL is free meanwhile."""

    __slots__ = ("_input_names", "_output_names", "_run", "name", "signature")

    def __init__(self, run: RunArrays, signature: Signature, name: str) -> None:
        self._run = run
        self._input_names = [spec.name for spec in signature.inputs]
        self._output_names = [spec.name for spec in signature.outputs]
        self.signature = signature
        self.name = name

    @classmethod
    def open(cls, path: Path, options: RuntimeOptions | None = None, name: str = "") -> OnnxSession:
        """Load `path`, which can take seconds; `name` is how errors call the model (default: its folders).

        Raises:
            ModelUnservable: which file, what is wrong with it and what to do.
        """
        name = name or "/".join(path.parts[-3:-1])
        inspected = ModelFile.read(path)
        inspected.check_external_data()
        session = _load(path, options or RuntimeOptions())
        try:
            signature = signature_of(session.get_inputs(), session.get_outputs(), inspected.unranked_inputs)
            optional = optional_inputs(session.get_overridable_initializers(), inspected.unranked_inputs)
            signature = replace(signature, optional=optional)
            run = run_by_values(session, signature) if needs_values(signature) else session.run
        except ModelUnservable as error:
            raise ModelUnservable(f"{path}: {error.message}") from error
        return cls(run, signature, name)

    def run(
        self, arrays: Sequence[Array], interrupt: Interrupt | None = None, names: Sequence[str] = ()
    ) -> list[Array]:
        """Outputs for inputs in the signature's order; `names` where optional ones are among them.

        Raises:
            ModelFailed: the model refused the values or broke on them.
        """
        feeds = dict(zip(names or self._input_names, arrays, strict=True))
        try:
            # Of the ways to call it `run` costs least (7 us for a small MLP, outputs as new arrays): OrtValues take
            # 50 us, an input binding 13 us. A binding to kept buffers saves 1 us, and fixes rows and thread.
            return self._run(self._output_names, feeds, None if interrupt is None else interrupt.options)
        # onnxruntime's errors have no common class, and custom operators raise what they like.
        except Exception as error:
            raise ModelFailed(f"model {self.name} failed: {run_failure(error)}") from error


def _load(path: Path, options: RuntimeOptions) -> ort.InferenceSession:
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = options.intra_op_threads
    settings.inter_op_num_threads = options.inter_op_threads
    settings.graph_optimization_level = _OPTIMISATION[options.graph_optimisation]
    settings.log_severity_level = _LOG_FATAL
    for kind in ("intra_op", "inter_op"):
        settings.add_session_config_entry(f"session.{kind}.allow_spinning", "1" if options.spinning else "0")
    for library in options.custom_op_libraries:
        _register(settings, path, library)
    try:
        return ort.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    # See `run`: there is no common class to catch.
    except Exception as error:
        raise ModelUnservable(f"{path}: {load_failure(error)}") from error


def _register(settings: ort.SessionOptions, path: Path, library: str) -> None:
    # The model's folder is DIR/<model>; libraries may stand beside its versions. A library is code that runs with our
    # rights, so a link that leads out of the folder is refused as well.
    folder = path.parent.parent.resolve()
    target = (folder / library).resolve()
    if not target.is_relative_to(folder):
        raise ModelUnservable(f"{path}: custom operator library {library!r} is not inside {folder}; put it there")
    if not target.is_file():
        raise ModelUnservable(f"{path}: custom operator library {target} does not exist; copy it there")
    try:
        settings.register_custom_ops_library(str(target))
    except Exception as error:
        raise ModelUnservable(
            f"{path}: custom operator library {target} cannot be loaded: {run_failure(error)}"
        ) from error
