"""The sections of models: where each runs, what it promises, how it batches, which version answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, model_validator
from pydantic_core import PydanticCustomError

from serving.config.feature_sections import FeatureInput, Word
from serving.config.section import Name, Section, Version, noted

# The name of a pool that is none: the model runs inside the gateway's workers.
GATEWAY = "gateway"
# What follows a pool's name in the name of the pool beside it, for its versions under trial.
TRIAL = "-trial"
# What follows a model's name in the name of the pool in which a rollout runs its canary.
CANARY = "-canary"


class BatchingSection(Section):
    """How rows of several callers run together."""

    enabled: bool = noted("false: every row runs alone.", default=True)
    max_rows: int = noted("Most rows of one run.", 64, ge=1, le=65_536)
    queue_rows: int = noted(
        "Most rows that wait in one worker, at most half of them of low priority; beyond it requests are answered 503.",
        4_096,
        ge=1,
        le=10**7,
    )
    queue_mb: int = noted(
        "Most megabytes of rows that wait in one worker, at most half of them of low priority.", 64, ge=1, le=65_536
    )
    max_wait_ms: float = noted(
        "Longest time for which rows that could run at once wait for others, and only where the measured run times "
        "show that it pays. 0: they never wait.",
        0.0,
        ge=0,
        le=1_000,
    )
    priority_levels: int = noted(
        "Levels that a request's `priority` may name; rows of level 1 leave the queue first. 1: all are alike.",
        3,
        ge=1,
        le=1_000,
    )
    default_priority: int = noted("Level of a request that names none, or one that there is not.", 2, ge=1, le=1_000)

    @model_validator(mode="after")
    def _sizes_fit_together(self) -> Self:
        if self.queue_rows < self.max_rows:
            raise PydanticCustomError(
                "queue",
                "queue_rows {queue} holds less than one batch of max_rows {batch}",
                {"queue": self.queue_rows, "batch": self.max_rows},
            )
        if self.default_priority > self.priority_levels:
            raise PydanticCustomError(
                "priority",
                "default_priority {default} is none of {levels} priority_levels",
                {"default": self.default_priority, "levels": self.priority_levels},
            )
        return self


class RoutesSection(Section):
    """Which version answers when a request names none; later changed by rollouts, never in a running file."""

    stable: Version | None = noted("Version that answers; by default the highest that can be served.", None)
    canary: Version | None = noted(
        "Version under trial, beside a named `stable`; left out when it cannot be served. It runs in replicas of its "
        "own, in a pool `<pool>-trial` with the settings of its model's pool, or in the gateway if the model does.",
        None,
    )
    canary_percent: float = noted(
        "Share of the requests without a version that it answers, in steps of 0.01. In this release the share is fixed "
        "by this file, and nothing judges the trial; rollouts that judge themselves come later.",
        0.0,
        ge=0,
        le=100,
    )

    @model_validator(mode="after")
    def _a_trial_is_beside_something(self) -> Self:
        if self.canary is None and self.canary_percent:
            raise PydanticCustomError("trial", "canary_percent is set, but canary names no version")
        if self.canary is not None and self.stable in (None, self.canary):
            raise PydanticCustomError(
                "trial",
                "canary {canary} needs stable to name another version, which answers all other requests",
                {"canary": self.canary},
            )
        return self


def _renamed(value: Any) -> Any:  # noqa: ANN401 - whatever the file says
    if value == "refuse":
        raise PydanticCustomError("renamed", "`refuse` is now called `fail`")
    return value


class ModelSection(Section):
    """One model of the repository."""

    pool: Name = noted("Pool that hosts it; `gateway` runs it inside the gateway's workers.", "default")
    latency_slo_ms: float | None = noted(
        "Latency that its owner promises: batches are as large as it allows, and a request that could only be "
        "answered later is refused 503 when it arrives, unless it says with `x-request-timeout-ms` what it allows. "
        "null: as if it were `deadline_ms`.",
        None,
        gt=0,
        le=3_600_000,
    )
    deadline_ms: int = noted(
        "A request is answered 504 after this time, unless it asks for another with `x-request-timeout-ms`.",
        1_000,
        ge=1,
        le=3_600_000,
    )
    batching: BatchingSection = noted("How rows run together.", BatchingSection())
    routes: RoutesSection = noted("Which version answers.", RoutesSection())
    inputs: list[FeatureInput] = noted(
        "Inputs made of features: callers of `:predict` then send entity ids and request features by name, callers of "
        "`/infer` finished rows as before. All inputs, or none.",
        default_factory=list,
    )
    request_defaults: dict[Word, float | int | bool | str] = noted(
        "Request features that a caller may leave out or send as null, and what then stands in; text where it is "
        "looked up or hashed.",
        default_factory=dict,
    )
    on_missing: Annotated[Literal["default", "fail", "impute"], BeforeValidator(_renamed)] = noted(
        "default: answer with the defaults of what is missing, and say so in `x-sluice-degraded`; impute: the same, "
        "with each feature's `impute` where it names one; fail: 404 for an entity without a row, 503 for a row that is "
        "too old or cannot be read. A single value that a row lacks is its default also then.",
        "default",
    )
