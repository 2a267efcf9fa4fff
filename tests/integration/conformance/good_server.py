"""A small server that keeps every promise of the protocol, for tests to break one at a time."""

from __future__ import annotations

import gzip
import json
import threading
import zlib
from collections import Counter
from typing import Any
from urllib.parse import unquote_to_bytes

from serving.conformance.known_models import KNOWN, KnownModel
from serving.conformance.onnx_file import Spec
from serving.conformance.tensors import Tensor
from tests.integration.conformance.good_codec import Wrong, answer_of, tensors_of
from tests.integration.conformance.http_layer import Reply, Request

EXTENSIONS = (
    "binary_tensor_data", "statistics", "model_configuration", "model_repository", "schedule_policy", "parameters",
)  # fmt: skip
TOKEN = "let-me-in"
_MIN_COMPRESSED = 500
_SIZES = ("compute_input", "compute_infer", "compute_output")
_NONE = ("fail", "cache_hit", "cache_miss")
_PARTS = ("success", "queue", *_SIZES, *_NONE)


class GoodServer:
    """`answer` is the whole of it."""

    def __init__(self) -> None:
        self._loaded = dict(KNOWN)
        self._counts: dict[str, Counter[str]] = {name: Counter() for name in KNOWN}
        self._batches: dict[str, Counter[int]] = {name: Counter() for name in KNOWN}
        self._lock = threading.Lock()

    def answer(self, request: Request) -> Reply:
        try:
            reply = self._routed(request)
        except Wrong as wrong:
            reply = _json({"error": wrong.message}, wrong.status)
        return _compressed(reply, request.headers.get("accept-encoding", ""))

    def _routed(self, request: Request) -> Reply:  # noqa: C901, PLR0911 - every path is a case
        post = request.method == "POST"
        match [_name(part) for part in request.path.split("/")][1:]:
            case ["v2"] | ["v2", ""]:
                return self._get(request, {"name": "good", "version": "1", "extensions": list(EXTENSIONS)})
            case [""]:
                return self._get(request, {"status": "alive"})
            case ["v2", "health", "live"]:
                return self._get(request, {"live": True})
            case ["v2", "health", "ready"]:
                return self._get(request, {"live": True, "ready": True})
            case ["v2", "models"] | ["v1", "models"]:
                return self._get(request, {"models": list(self._loaded)})
            case ["v2", "models", "stats"]:
                return self._get(request, {"model_stats": [self._stat(one) for one in self._loaded]})
            case ["v2", "models", name, *rest]:
                return self._model(request, self._known(name), rest)
            case ["v2", "repository", "index"] if post:
                return _json([{"name": one, "version": "1", "state": "READY", "reason": ""} for one in self._loaded])
            case ["v2", "repository", "models", name, ("load" | "unload") as verb] if post:
                return self._order(request, name, verb)
            case ["v1", "models", name]:
                return self._v1(request, name)
        raise Wrong("nothing is served there", 404)

    def _model(self, request: Request, model: KnownModel, rest: list[str]) -> Reply:
        if rest[:1] == ["versions"] and len(rest) > 1:
            if rest[1] != "1":
                raise Wrong("no such version", 404)
            rest = rest[2:]
        match rest:
            case [] | [""]:
                return self._get(request, _metadata(model))
            case ["ready"]:
                return self._get(request, {"name": model.name, "ready": True})
            case ["config"]:
                return self._get(request, _config(model))
            case ["stats"]:
                return self._get(request, {"model_stats": [self._stat(model.name)]})
            case ["infer"]:
                if request.method != "POST":
                    raise Wrong("use POST", 405)
                return self._infer(request, model)
        raise Wrong("nothing is served there", 404)

    def _infer(self, request: Request, model: KnownModel) -> Reply:
        asked = tensors_of(model, _inflated(request), request.headers)
        outputs = model.answers(asked.inputs)
        self._count(model, asked.inputs)
        return answer_of(model, asked, outputs)

    def _order(self, request: Request, name: str, verb: str) -> Reply:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            raise Wrong("the token is needed", 401)
        if name not in KNOWN:
            raise Wrong("no such model", 404)
        if verb == "load":
            self._loaded[name] = KNOWN[name]
        else:
            self._loaded.pop(name, None)
        return Reply(200)

    def _v1(self, request: Request, name: str) -> Reply:
        if request.method == "GET":
            return _json({"name": self._known(name).name, "ready": True})
        model = self._known(name.removesuffix(":predict"))
        try:
            instances = json.loads(request.body)["instances"]
            return _json({"predictions": [one["x"] for one in instances]})
        except (ValueError, TypeError, KeyError) as error:
            raise Wrong(f"instances of {model.name} are objects with x") from error

    def _known(self, name: str) -> KnownModel:
        try:
            return self._loaded[name]
        except KeyError:
            raise Wrong("no such model", 404) from None

    def _get(self, request: Request, document: object) -> Reply:
        if request.method not in ("GET", "HEAD"):
            raise Wrong("use GET", 405)
        return _json(document)

    def _count(self, model: KnownModel, inputs: dict[str, Tensor]) -> None:
        shape = next(iter(inputs.values())).shape
        rows = shape[0] if shape else 1
        with self._lock:
            self._counts[model.name].update(rows=rows, executions=1)
            self._batches[model.name][rows] += 1

    def _stat(self, name: str) -> dict[str, Any]:
        counts, batches = self._counts[name], self._batches[name]
        leaf = {"count": counts["executions"], "ns": 0}
        none = {"count": 0, "ns": 0}
        return {
            "name": name,
            "version": "1",
            "last_inference": 0,
            "inference_count": counts["rows"],
            "execution_count": counts["executions"],
            "inference_stats": {part: none if part in _NONE else leaf for part in _PARTS},
            "response_stats": {},
            "batch_stats": [
                {"batch_size": size, **{part: {"count": count, "ns": 0} for part in _SIZES}}
                for size, count in batches.items()
            ],
            "memory_usage": [],
        }


def _name(part: str) -> str:
    try:
        name = unquote_to_bytes(part).decode()
    except UnicodeDecodeError:
        raise Wrong("a name is UTF-8", 404) from None
    return name


def _metadata(model: KnownModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "versions": ["1"],
        "platform": "test",
        "inputs": [_spec(spec) for spec in model.graph.inputs],
        "outputs": [_spec(spec) for spec in model.graph.outputs],
    }


def _spec(spec: Spec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}


def _config(model: KnownModel) -> dict[str, Any]:
    def entry(spec: Spec) -> dict[str, Any]:
        kind = "TYPE_STRING" if spec.datatype == "BYTES" else f"TYPE_{spec.datatype}"
        return {"name": spec.name, "data_type": kind, "dims": list(spec.shape)}

    return {
        "name": model.name,
        "max_batch_size": 0,
        "input": [entry(spec) for spec in model.graph.inputs],
        "output": [entry(spec) for spec in model.graph.outputs],
    }


def _inflated(request: Request) -> bytes:
    coding = request.headers.get("content-encoding", "identity")
    try:
        if coding == "gzip":
            return gzip.decompress(request.body)
        if coding == "deflate":
            return zlib.decompress(request.body)
    except (OSError, EOFError, zlib.error) as error:
        raise Wrong(f"no {coding}: {error}") from error
    if coding != "identity":
        raise Wrong("use gzip or deflate", 415)
    return request.body


def _compressed(reply: Reply, accepted: str) -> Reply:
    coding = accepted.strip()
    if coding not in ("gzip", "deflate") or len(reply.body) < _MIN_COMPRESSED:
        return reply
    body = gzip.compress(reply.body, 1) if coding == "gzip" else zlib.compress(reply.body, 1)
    return Reply(reply.status, body, {**reply.headers, "content-encoding": coding})


def _json(document: object, status: int = 200) -> Reply:
    return Reply(status, json.dumps(document).encode(), {"content-type": "application/json"})
