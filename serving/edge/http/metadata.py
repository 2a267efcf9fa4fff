"""What the edge answers without a model: health, what is served, and a model's own page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import quote

import orjson

from serving.edge.http.answers import json_answer, refusal_of, refused
from serving.edge.http.edge import Edge
from serving.edge.http.openapi import document
from serving.edge.http.request_head import RequestHead
from serving.edge.http.routes import Asks
from serving.errors import NotReady, ServingError
from serving.features.filling import stand_in
from serving.features.plan import ReadPlan
from serving.inference import TensorSpec
from serving.request_path.model_config import model_config
from serving.request_path.predictions import Description

_NAME = "sluice"
# Only what is true: a test asks each of them for something.
_EXTENSIONS = ("binary_tensor_data", "parameters", "schedule_policy", "model_configuration", "statistics")
# True where the session's token opens the port for changes (http.repository_api).
_WITH_TOKEN = ("model_repository", "logging")
# Of a key that has to be a whole number.
_AN_ID = 1001
_NEEDS_ROWS = "put in ids that have rows: this model answers 404 for any other (on_missing: fail)"


class _NotReady(Exception):
    """The answer is 503 and still has a body that clients look into."""

    def __init__(self, document: Mapping[str, object], error: str) -> None:
        super().__init__(error)
        self.document = {**document, "error": error}


def answer(edge: Edge, head: RequestHead) -> bytes:
    """The response to a request that asks for no prediction."""
    try:
        return json_answer(200, orjson.dumps(_HANDLERS[head.target.asks](edge, head)))
    except _NotReady as not_ready:
        edge.observer.refused("", NotReady.reason, head.context)
        return json_answer(503, orjson.dumps(not_ready.document), b"retry-after: 1\r\n")
    except ServingError as error:
        edge.observer.refused("", error.reason, head.context)
        return refused(refusal_of(error))


def _server(edge: Edge, _head: RequestHead) -> object:
    opened = _WITH_TOKEN if edge.predictions.administration.open else ()
    return {"name": _NAME, "version": edge.release, "extensions": [*_EXTENSIONS, *opened]}


def _alive(_edge: Edge, _head: RequestHead) -> object:
    return {"status": "alive"}


def _live(_edge: Edge, _head: RequestHead) -> object:
    return {"live": True}


def _ready(edge: Edge, _head: RequestHead) -> object:
    not_ready = {"ready": False, "live": True}
    if edge.draining:
        raise _NotReady(not_ready, "this worker stops; another one takes new connections")
    if not edge.predictions.ready():
        text = "not every routed version can run yet; GET /v2/models/{model}/ready tells which"
        raise _NotReady(not_ready, text)
    return {"ready": True, "live": True}


def _models(edge: Edge, _head: RequestHead) -> object:
    return {"models": edge.predictions.models()}


def _model(edge: Edge, head: RequestHead) -> object:
    described = edge.predictions.describe(head.target.model, head.target.version)
    return {
        "name": described.model,
        "versions": [str(version) for version in described.versions],
        "platform": described.platform,
        "inputs": [_spec(spec) for spec in described.signature.all_inputs],
        "outputs": [_spec(spec) for spec in described.signature.outputs],
    }


def _config(edge: Edge, head: RequestHead) -> object:
    return model_config(edge.predictions.describe(head.target.model, head.target.version))


def _model_ready(edge: Edge, head: RequestHead) -> object:
    not_ready = {"name": head.target.model, "ready": False}
    try:
        described = edge.predictions.describe(head.target.model, head.target.version)
    except NotReady as error:
        raise _NotReady(not_ready, error.message) from None
    if not described.ready:
        raise _NotReady(not_ready, f"version {described.version} of model {described.model!r} is not ready yet")
    return {"name": described.model, "ready": True}


def _openapi(edge: Edge, _head: RequestHead) -> object:
    return document(edge.release)


def _v1_model(edge: Edge, head: RequestHead) -> object:
    try:
        described = edge.predictions.describe(head.target.model, head.target.version)
    except NotReady as error:
        raise _NotReady({"name": head.target.model, "ready": False}, error.message) from None
    return {
        "name": described.model,
        "ready": described.ready,
        "version": str(described.version),
        "versions": [str(version) for version in described.versions],
        "inputs": [_spec(spec) for spec in described.signature.inputs],
        "outputs": [_spec(spec) for spec in described.signature.outputs],
        **(_by_entity(described.plan) if described.plan else {}),
        "curl": _curl(described, head),
    }


def _by_entity(plan: ReadPlan) -> Mapping[str, object]:
    """What callers send, and what is looked up; a default of null is none: NaN."""
    return {
        "entity_keys": list(plan.entity_keys),
        "entity_key_types": dict(plan.key_types),
        "request_features": [
            {"name": field.name, "datatype": field.dtype, "required": field.required, "default": field.default}
            for field in plan.request_fields
        ],
        "feature_views": [
            {
                "name": used.view.name,
                "entity": list(used.view.entity),
                "max_age_s": used.view.max_age_s,
                "features": [
                    {"name": f.name, "dtype": f.dtype, "default": stand_in(f, plan.on_missing)} for f in used.features
                ],
            }
            for used in plan.views
        ],
        "on_missing": plan.on_missing,
        **({"curl_note": _NEEDS_ROWS} if plan.on_missing == "fail" and plan.views else {}),
    }


def _spec(spec: TensorSpec) -> Mapping[str, object]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}


def _curl(described: Description, head: RequestHead) -> str:
    """A command that gets a prediction for made-up values of the right shape."""
    if described.plan is None:
        instance = {spec.name: _sample(spec) for spec in described.signature.inputs}
    else:
        instance = _sample_entity(described.plan)
    body = orjson.dumps({"instances": [instance]}).decode().replace("'", "'\\''")
    host = head.host.decode("latin-1").replace("'", "") or "localhost:8080"
    name = quote(described.model, safe="")
    return f"curl -s 'http://{host}/v1/models/{name}:predict' -d '{body}'"


def _sample(spec: TensorSpec) -> object:
    value = _of_datatype(spec.datatype)
    for size in reversed(spec.trailing):
        value = [value] * (size if size >= 0 else 1)
    return value


def _of_datatype(datatype: str) -> object:
    return {"BYTES": "a", "BOOL": True}.get(datatype, 0 if "INT" in datatype else 0.5)


def _sample_entity(plan: ReadPlan) -> dict[str, object]:
    ids: dict[str, object] = {
        name: f"<{name}>" if kind == "string" else _AN_ID for name, kind in plan.key_types.items()
    }
    return ids | {
        # What is an id as well is a whole number, whatever the tensor's datatype, which may hold no larger one.
        field.name: 0 if field.name in ids else _of_datatype(field.dtype) if field.default is None else field.default
        for field in plan.request_fields
    }


_HANDLERS: Mapping[Asks, Callable[[Edge, RequestHead], object]] = {
    Asks.ALIVE: _alive,
    Asks.SERVER: _server,
    Asks.LIVE: _live,
    Asks.READY: _ready,
    Asks.MODELS: _models,
    Asks.MODEL: _model,
    Asks.MODEL_READY: _model_ready,
    Asks.CONFIG: _config,
    Asks.OPENAPI: _openapi,
    Asks.V1_MODELS: _models,
    Asks.V1_MODEL: _v1_model,
}
