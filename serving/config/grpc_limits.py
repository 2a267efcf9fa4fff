"""The bounds of the gRPC edge as the configuration sets them."""

from __future__ import annotations

from dataclasses import fields

from serving.config.listeners import GrpcSection, HttpSection
from serving.config.settings import Settings
from serving.edge.grpc.limits import GrpcLimits


def grpc_limits(settings: Settings) -> GrpcLimits:
    """Settings and limits share their names; what a tensor may be is set once, for both edges."""
    names = {field.name for field in fields(GrpcLimits)}
    own = names & set(GrpcSection.model_fields)
    shared = (names & set(HttpSection.model_fields)) - own
    limits = {name: getattr(settings.http, name) for name in shared}
    return GrpcLimits(**limits, **{name: getattr(settings.grpc, name) for name in own})
