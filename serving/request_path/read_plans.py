"""What each version reads, compiled once for all versions of a model that have the same signature."""

from __future__ import annotations

from collections.abc import Mapping

from serving.errors import ConfigInvalid, ModelUnservable
from serving.features.compilation import compile_plan
from serving.features.model_inputs import ModelInputs
from serving.features.plan import ReadPlan
from serving.inference import Hosted, Signature, VersionKey

# None: inputs are tensors and nothing else. An error: the configuration does not fit this version.
Plan = ReadPlan | ModelUnservable | None


class ReadPlans:
    """`inputs` is what the configuration says of those models whose inputs are made of features."""

    def __init__(self, inputs: Mapping[str, ModelInputs]) -> None:
        self._inputs = inputs
        self._plans: dict[tuple[str, Signature], Plan] = {}

    def plan_of(self, hosted: Hosted) -> Plan:
        """The same object for equal signatures, so that a request is not read again for another version."""
        inputs = self._inputs.get(hosted.key.model)
        if inputs is None:
            return None
        known = hosted.key.model, hosted.signature
        if known not in self._plans:
            self._plans[known] = self._compiled(inputs, hosted)
        return self._plans[known]

    @staticmethod
    def _compiled(inputs: ModelInputs, hosted: Hosted) -> Plan:
        try:
            return compile_plan(inputs, hosted.signature)
        except ConfigInvalid as error:
            # It may be one version of several, and the others may fit.
            return ModelUnservable("only finished rows are answered: " + error.message.replace("\n", "; "))


def usable(plan: Plan, key: VersionKey) -> ReadPlan:
    """The plan of a version that can be asked by entity.

    Raises:
        ModelUnservable: it cannot.
    """
    if isinstance(plan, ReadPlan):
        return plan
    raise unusable(plan, key)


def unusable(plan: Plan, key: VersionKey) -> ModelUnservable:
    """Why a version cannot be asked by entity."""
    return ModelUnservable(
        plan.message if isinstance(plan, ModelUnservable) else f"{key} has no inputs made of features; send tensors"
    )


NO_PLANS = ReadPlans({})
