"""The OpenAPI document of the port of predictions, made from the table of routes: it tells no other story."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from serving.edge.http.openapi_schemas import SCHEMAS
from serving.edge.http.routes import ROUTES, Asks, Route, spelled_out

_JSON = "application/json"
_BINARY = "application/octet-stream"
_ABOUT = (
    "The Open Inference Protocol (V2) with the extensions that GET /v2 lists, V1 predictions by named fields, and "
    "health. Every answer other than 200 is an Error; 404 and 405 also for paths and methods that are not here. A body "
    "with binary tensors is JSON of Inference-Header-Content-Length bytes and the tensors behind it."
)


class _Told(NamedTuple):
    """What the document says of something that can be asked; `sent` and `answered` name schemas."""

    summary: str
    answered: str
    sent: str = ""


_TOLD: Mapping[Asks, _Told] = {
    Asks.ALIVE: _Told("Whether the server answers (V1)", "Alive"),
    Asks.SERVER: _Told("Server metadata and its extensions", "ServerMetadata"),
    Asks.LIVE: _Told("Whether the server answers", "Live"),
    Asks.READY: _Told("Whether every routed version can run", "Ready"),
    Asks.MODELS: _Told("Names of the models that are served", "ModelNames"),
    Asks.MODEL: _Told("Inputs, outputs and versions of a model", "ModelMetadata"),
    Asks.MODEL_READY: _Told("Whether a model can run", "ModelReady"),
    Asks.CONFIG: _Told("How a model is run (model_configuration)", "ModelConfig"),
    Asks.STATISTICS: _Told("What versions did in all workers (statistics)", "Statistics"),
    Asks.INFER: _Told("Predict with tensors", "InferResponse", "InferRequest"),
    Asks.INDEX: _Told("Versions that are served or in the repository", "RepositoryIndex", "RepositoryIndexRequest"),
    Asks.LOAD: _Told("Load a model; needs http.repository_api and the token", "Nothing", "LoadRequest"),
    Asks.UNLOAD: _Told("Unload a model; needs http.repository_api and the token", "Nothing", "UnloadRequest"),
    Asks.LOGGING: _Told("What is logged; changes need http.repository_api and the token", "LogSettings", "LogSettings"),
    Asks.OPENAPI: _Told("This document", "Anything"),
    Asks.V1_MODELS: _Told("Names of the models that are served (V1)", "ModelNames"),
    Asks.V1_MODEL: _Told("What a model takes by name, with a curl that works (V1)", "V1Model"),
    Asks.PREDICT: _Told("Predict with named fields or entity ids (V1)", "PredictResponse", "PredictRequest"),
}
_WITH_TOKEN = frozenset((Asks.LOAD, Asks.UNLOAD, Asks.LOGGING))
_HEADERS = {
    "x-sluice-key": ({"type": "string"}, "Sticky key: the same key gets the same variant."),
    "x-sluice-variant": ({"type": "string"}, "Ask this variant, not the one that the split chooses."),
    "x-request-timeout-ms": ({"type": "number", "exclusiveMinimum": 0}, "Answer 504 after this time."),
    "x-sluice-priority": (
        {"type": "integer", "minimum": 0},
        "Level of priority: 1 leaves the queue first, 0 is the default level. A body's `priority` counts before it.",
    ),
}
_INFER_HEADERS = {
    "inference-header-content-length": (
        {"type": "integer", "minimum": 0},
        "Bytes of the JSON part, where tensors follow it in binary.",
    ),
}
_NAMES = {
    "model": {"type": "string", "minLength": 1},
    "version": {"type": "integer", "minimum": 1, "maximum": 2**53 - 1},
    "repository": {"type": "string", "minLength": 1},
}


def document(release: str) -> dict[str, Any]:
    """The whole document, for OpenAPI 3.1."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Sluice, port of predictions", "version": release, "description": _ABOUT},
        "paths": {path: _path(path, route) for route in ROUTES for path in spelled_out(route)},
        "components": {
            "schemas": dict(SCHEMAS),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _path(path: str, route: Route) -> dict[str, Any]:
    methods = [method.lower() for method in route.methods.split(", ")]
    return {
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": schema}
            for name, schema in _NAMES.items()
            if f"{{{name}}}" in path
        ],
        # HEAD is GET without the body, which the document need not repeat.
        **{method: _operation(path, route, method) for method in methods if method != "head"},
    }


def _operation(path: str, route: Route, method: str) -> dict[str, Any]:
    told = _TOLD[route.asks]
    operation: dict[str, Any] = {
        "operationId": f"{method} {path}",
        "summary": told.summary,
        "responses": {
            "200": {"description": told.summary, "content": _content(told.answered, route.asks)},
            "default": {"description": "What was wrong, and what would be right", "content": _content("Error")},
        },
    }
    if method == "post":
        # Predictions need a body; what is asked of the session may come without one.
        required = route.asks in (Asks.INFER, Asks.PREDICT)
        operation["requestBody"] = {"required": required, "content": _content(told.sent, route.asks)}
        if route.asks in _WITH_TOKEN:
            operation["security"] = [{"token": []}]
        if required:
            operation["parameters"] = _headers(route.asks)
    return operation


def _headers(asks: Asks) -> list[dict[str, Any]]:
    headers = _HEADERS | (_INFER_HEADERS if asks is Asks.INFER else {})
    return [
        {"name": name, "in": "header", "required": False, "schema": schema, "description": text}
        for name, (schema, text) in headers.items()
    ]


def _content(schema: str, asks: Asks | None = None) -> dict[str, Any]:
    content: dict[str, Any] = {_JSON: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    if asks is Asks.INFER:
        content[_BINARY] = {}
    return content
