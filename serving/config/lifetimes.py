"""How long each view's rows are kept near, as the configuration says it."""

from __future__ import annotations

from serving.config.settings import Settings
from serving.features.cache.lifetime import Lifetime
from serving.features.keys import prefix


def lifetimes(settings: Settings) -> dict[bytes, Lifetime]:
    """By what keys of the view begin with; only views whose rows are kept."""
    near = settings.features.near_cache
    if not near.max_mb:
        return {}
    kept = {}
    for name, section in settings.feature_views.items():
        view = section.compiled(name)
        if section.near_cache.enabled:
            kept[prefix(view)] = near.lifetime(section.near_cache)
    return kept
