"""The bounds of the HTTP edge as the configuration sets them."""

from __future__ import annotations

from dataclasses import fields

from serving.config.listeners import HttpSection
from serving.edge.http.limits import HttpLimits


def http_limits(section: HttpSection) -> HttpLimits:
    """Settings and limits share their names; what is no setting keeps its default."""
    names = {field.name for field in fields(HttpLimits)} & set(HttpSection.model_fields)
    return HttpLimits(**{name: getattr(section, name) for name in names})
