"""What a model's section says of its inputs, in the shape that plans are compiled from."""

from __future__ import annotations

from serving.config.settings import Settings
from serving.features.model_inputs import ModelInputs


def model_inputs(settings: Settings, model: str) -> ModelInputs | None:
    """None for a model whose inputs are tensors and nothing else."""
    section = settings.model(model)
    if not section.inputs:
        return None
    return ModelInputs(
        model,
        tuple((one.name, one.entries()) for one in section.inputs),
        tuple(view.compiled(name) for name, view in settings.feature_views.items()),
        dict(section.request_defaults),
        section.on_missing,
    )


def all_model_inputs(settings: Settings) -> dict[str, ModelInputs]:
    """By model, for those that have inputs made of features."""
    found = {model: model_inputs(settings, model) for model in settings.models}
    return {model: inputs for model, inputs in found.items() if inputs is not None}
