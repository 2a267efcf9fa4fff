"""What models' owners say in `model.yaml` goes into the settings of a session where the configuration is silent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serving.config.serving_models import ModelSection
from serving.config.settings import Settings
from serving.registry.manifest import Manifest


def with_owner_facts(settings: Settings, manifests: Mapping[str, Manifest]) -> Settings:
    """The same settings with each model's deadline, objective and largest batch from its manifest, where not set."""
    models = {name: _merged(settings.model(name), manifest) for name, manifest in manifests.items()}
    return settings.model_copy(update={"models": {**settings.models, **models}})


def _merged(section: ModelSection, manifest: Manifest) -> ModelSection:
    owner: dict[str, Any] = {"deadline_ms": manifest.deadline_ms, "latency_slo_ms": manifest.latency_slo_ms}
    said = {name: value for name, value in owner.items() if value is not None and name not in section.model_fields_set}
    batching = section.batching
    if manifest.max_rows is not None and "max_rows" not in batching.model_fields_set:
        said["batching"] = batching.model_copy(update={"max_rows": min(manifest.max_rows, batching.queue_rows)})
    return section.model_copy(update=said)
