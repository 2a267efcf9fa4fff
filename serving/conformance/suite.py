"""Every check, in the order of the report."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatch

from serving.conformance.check import Check
from serving.conformance.grpc_checks import inference, services
from serving.conformance.grpc_checks import refusals as grpc_refusals
from serving.conformance.http_checks import (
    binary_tensors,
    compression,
    configuration,
    datatype_values,
    infer_json,
    model_metadata,
    refusals,
    repository,
    request_parameters,
    requested_outputs,
    robustness,
    server_metadata,
    statistics,
    v1,
)

CHECKS: tuple[Check, ...] = (
    *server_metadata.CHECKS,
    *model_metadata.CHECKS,
    *infer_json.CHECKS,
    *requested_outputs.CHECKS,
    *datatype_values.CHECKS,
    *refusals.CHECKS,
    *request_parameters.CHECKS,
    *binary_tensors.CHECKS,
    *compression.CHECKS,
    *statistics.CHECKS,
    *configuration.CHECKS,
    *repository.CHECKS,
    *v1.CHECKS,
    *robustness.CHECKS,
    *services.CHECKS,
    *inference.CHECKS,
    *grpc_refusals.CHECKS,
    *repository.LAST,
)


def chosen(patterns: Sequence[str]) -> tuple[Check, ...]:
    """Checks whose id one of the patterns matches (`http.binary.*`); all where none is given."""
    if not patterns:
        return CHECKS
    return tuple(check for check in CHECKS if any(fnmatch(check.id, pattern) for pattern in patterns))
