"""Whether what `model.yaml` says of a model is true of one of its versions."""

from __future__ import annotations

from serving.inference import Signature, TensorSpec
from serving.registry.manifest import FeatureInput, Manifest


def misfit(manifest: Manifest, signature: Signature) -> str:
    """The first key that names something the version does not have; empty when all fit."""
    found = _score_misfit(manifest, signature)
    for wanted in manifest.inputs:
        found = found or _input_misfit(wanted, signature)
    return found


def _score_misfit(manifest: Manifest, signature: Signature) -> str:
    if manifest.score is None:
        return ""
    spec = _named(manifest.score, signature.outputs)
    if spec is None:
        return f"score is {manifest.score!r}, which is no output; choose one of {_names(signature.outputs)}"
    index = manifest.score_index
    columns = spec.shape[-1] if len(spec.shape) > 1 else -1
    if index is not None and 0 <= columns <= index:
        return f"score_index is {index}, but output {spec.name!r} has {columns} columns; choose 0 to {columns - 1}"
    return ""


def _input_misfit(wanted: FeatureInput, signature: Signature) -> str:
    spec = _named(wanted.name, signature.inputs)
    if spec is None:
        return f"inputs names {wanted.name!r}, which is no input; choose one of {_names(signature.inputs)}"
    columns = spec.shape[-1] if len(spec.shape) > 1 else 1
    count = len(wanted.features)
    if columns not in (-1, count):
        return f"inputs gives {count} features for {wanted.name!r}; name {columns}, one for each column"
    return ""


def _named(name: str, specs: tuple[TensorSpec, ...]) -> TensorSpec | None:
    return next((spec for spec in specs if spec.name == name), None)


def _names(specs: tuple[TensorSpec, ...]) -> str:
    return ", ".join(spec.name for spec in specs)
