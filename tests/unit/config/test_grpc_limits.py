"""The gRPC edge's bounds are what the configuration says; those on tensors are set once, for both edges."""

from __future__ import annotations

from dataclasses import fields

from serving.config.grpc_limits import grpc_limits
from serving.config.http_limits import http_limits
from serving.config.listeners import GrpcSection
from serving.config.settings import Settings
from serving.edge.grpc.limits import GrpcLimits

ON_TENSORS = ("max_tensors", "max_rank", "max_elements", "max_strings", "max_string_bytes")


def test_every_setting_of_grpc_reaches_the_edge() -> None:
    limits = {field.name for field in fields(GrpcLimits)}
    assert set(GrpcSection.model_fields) - {"host", "port"} <= limits


def test_a_setting_changes_its_limit_and_no_other() -> None:
    found = grpc_limits(Settings.model_validate({"grpc": {"idle_s": 1.5, "max_message_mb": 2.0}}))
    assert (found.idle_s, found.max_message_bytes) == (1.5, 2 << 20)
    assert found.max_headers == grpc_limits(Settings()).max_headers


def test_a_tensor_may_be_the_same_over_both() -> None:
    settings = Settings.model_validate({"http": {"max_tensors": 3, "max_rank": 4, "max_strings": 5}})
    over_http, over_grpc = http_limits(settings.http), grpc_limits(settings)
    assert over_grpc.max_rank == 4
    for name in ON_TENSORS:
        assert getattr(over_http, name) == getattr(over_grpc, name)


def test_what_is_not_said_is_the_edges_own_default() -> None:
    assert grpc_limits(Settings()) == GrpcLimits()
