"""Whether the inputs that a configuration makes of features fit the versions of a repository."""

from __future__ import annotations

from serving.config.model_inputs import model_inputs
from serving.config.settings import Settings
from serving.features.compilation import misfits
from serving.runtime.check import Finding


def misfits_of(settings: Settings, finding: Finding) -> list[str]:
    """What does not fit the version's graph, one sentence each; none where its inputs are tensors, or it has no graph.

    The version answers finished rows all the same.
    """
    inputs = model_inputs(settings, finding.model)
    if inputs is None or finding.hosted is None:
        return []
    return misfits(inputs, finding.hosted.signature)
