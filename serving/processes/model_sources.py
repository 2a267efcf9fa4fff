"""Where each version of a session is and how its owner wants it run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from serving.config.placement import canary_pool, pool_of
from serving.config.settings import Settings
from serving.inference import VersionKey
from serving.processes.session_plan import ServedModel
from serving.registry.manifest import read_manifest
from serving.registry.repository import MANIFEST_FILE, RepositoryVersion
from serving.runtime.source import ModelSource, source_of


def model_sources(settings: Settings, models: Iterable[ServedModel], pool: str) -> list[ModelSource]:
    """The versions that `pool` hosts, in the session's order; everything is in the gateway with the in-process engine.

    Raises:
        ModelUnservable: a manifest was broken since the session began.
    """
    return [_source(served) for served in models if pool in places(settings, served)]


def places(settings: Settings, served: ServedModel) -> tuple[str, ...]:
    """Every pool that hosts a version: its own, and that of the canary which a rollout makes of it."""
    home = pool_of(settings, served.model, served.version)
    return (home, canary_pool(served.model)) if served.own_replicas else (home,)


def _source(served: ServedModel) -> ModelSource:
    path = Path(served.path)
    manifest = read_manifest(path.parent.parent / MANIFEST_FILE)
    return source_of(RepositoryVersion(VersionKey(served.model, served.version), path, manifest))
