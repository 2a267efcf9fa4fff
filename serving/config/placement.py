"""Which pool a version runs in: the one answer that routing table, engine and gateway all go by."""

from __future__ import annotations

from serving.config.serving_models import CANARY, GATEWAY, TRIAL
from serving.config.settings import Settings


def pool_of(settings: Settings, model: str, version: int) -> str:
    """The version's pool; one under trial has replicas of its own, so that its crash or hunger hurts nobody else.

    "gateway" for a version that runs inside the gateway's workers, as all do with the in-process engine.
    """
    section = settings.model(model)
    if settings.engine.kind == "in-process" or section.pool == GATEWAY:
        return GATEWAY
    return section.pool + TRIAL if version == section.routes.canary else section.pool


def canary_pool(model: str) -> str:
    """Where a rollout runs the model's canary: one pool for each model, of which one rollout runs at a time."""
    return model + CANARY


def is_canary_pool(name: str) -> bool:
    """It comes and goes with a rollout; no configuration can name one so."""
    return name.endswith(CANARY)
