"""How long each view's rows are kept near, as the configuration says it."""

from __future__ import annotations

from serving.config.settings import Settings
from serving.features.cache.lifetime import Lifetime
from serving.features.keys import prefix


def lifetimes(settings: Settings, *, told: bool = True) -> dict[bytes, Lifetime]:
    """By what keys of the view begin with; only views whose rows are kept. Not `told` where the store cannot tell."""
    near = settings.features.near_cache
    if not near.max_mb:
        return {}
    kept = {}
    for name, section in settings.feature_views.items():
        view = section.compiled(name)
        if section.near_cache.enabled:
            # Feast's keys end with what is common to them, and the server tells by what keys begin with.
            kept[prefix(view)] = near.lifetime(section.near_cache, told=told and view.feast is None)
    return kept
