"""The model configuration extension: what perf_analyzer and others ask before they send anything."""

from __future__ import annotations

from typing import Any

from serving.conformance.check import Check, Failed, Severity, Try, expect
from serving.conformance.http_checks.sources import CONFIGURATION
from serving.conformance.server import Server, path_of

_EXTENSION = "model_configuration"
_CLIENT_ERROR = 400


def _name(server: Server) -> None:
    model = server.any_model()
    name = _config(server, f"{path_of(model.name)}/config").get("name")
    expect(name == model.name, f"`name` must be {model.name!r}, got {name!r}")


def _max_batch_size(server: Server) -> None:
    size = _config(server, f"{path_of(server.any_model().name)}/config").get("max_batch_size")
    expect(type(size) is int and size >= 0, f"`max_batch_size` must be an integer of 0 or more, got {size!r}")


def _tensors(server: Server) -> None:
    model = server.any_model()
    config = _config(server, f"{path_of(model.name)}/config")
    for side, specs in (("input", model.inputs), ("output", model.outputs)):
        entries = config.get(side)
        if not isinstance(entries, list):
            raise Failed(f"`{side}` must be an array, got {entries!r:.100}")
        got = {entry.get("name"): entry for entry in entries if isinstance(entry, dict)}
        for spec in specs:
            entry = got.get(spec.name)
            if entry is None:
                raise Failed(f"`{side}` leaves out {spec.name!r}")
            # FP32 and TYPE_FP32 are one: model_config.proto has its own names, where BYTES is TYPE_STRING.
            wanted = "TYPE_STRING" if spec.datatype == "BYTES" else f"TYPE_{spec.datatype}"
            kind = entry.get("data_type")
            expect(kind == wanted, f"`data_type` of {spec.name!r} must be {wanted}, got {kind!r}")
            expect(isinstance(entry.get("dims"), list), f"`dims` of {spec.name!r} must be an array")


def _versioned(server: Server) -> None:
    model, version = server.versioned_model()
    name = _config(server, f"{path_of(model.name, version)}/config").get("name")
    expect(name == model.name, f"`name` must be {model.name!r}, got {name!r}")


def _unknown(server: Server) -> None:
    answer = server.get(f"{path_of('oip-no-such-model')}/config")
    expect(answer.status >= _CLIENT_ERROR, f"a model that is not there has a configuration: {answer.status}")


def _config(server: Server, path: str) -> dict[str, Any]:
    return server.good(path).object()


def _check(name: str, promise: str, run: Try) -> Check:
    return Check(f"http.configuration.{name}", promise, CONFIGURATION, run, Severity.EXTENSION, _EXTENSION)


CHECKS = (
    _check("name", "GET /v2/models/{model}/config names the model.", _name),
    _check("max-batch-size", "It has max_batch_size.", _max_batch_size),
    _check("tensors", "It has every input and output with data_type and dims.", _tensors),
    _check("versioned", "A listed version has a configuration at its own path.", _versioned),
    _check("unknown", "A model that is not there has none.", _unknown),
)
