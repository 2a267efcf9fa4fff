"""What a gateway tells of its models, and the request that a person would try first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any
from urllib.parse import quote

import orjson

from serving.cli.failure import CommandFailed
from serving.cli.gateway_client import GatewayClient, model_path, said

_OK = 200
_SERVICE_UNAVAILABLE = 503
_BY_ENTITY = (
    "entity_keys",
    "entity_key_types",
    "request_features",
    "feature_views",
    "on_missing",
    "curl",
    "curl_note",
)


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A model's metadata; without inputs while nothing that lives has told its signature.

    `by_entity` is what callers send where inputs are made of features, with a curl that works.
    """

    name: str
    platform: str
    versions: tuple[int, ...]
    ready: bool
    default: int | None = None
    inputs: tuple[dict[str, Any], ...] = ()
    outputs: tuple[dict[str, Any], ...] = ()
    note: str = ""
    by_entity: Mapping[str, Any] = field(default_factory=dict)

    @property
    def others(self) -> tuple[int, ...]:
        """Versions that answer only when they are asked for."""
        return tuple(number for number in self.versions if number != self.default)

    @property
    def state(self) -> str:
        """One word, or why not."""
        return "ready" if self.ready else self.note or "not ready"

    def tensors(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Inputs, then outputs."""
        yield from (("input", tensor) for tensor in self.inputs)
        yield from (("output", tensor) for tensor in self.outputs)

    def fields(self) -> Iterator[tuple[str, str, str, str]]:
        """What callers send by entity: kind, name, datatype, and what stands in where it is left out."""
        types = self.by_entity.get("entity_key_types", {})
        for name in self.by_entity.get("entity_keys", ()):
            kind = types.get(name, "string")
            yield "id", name, "text or whole number" if kind == "string" else f"whole number ({kind})", "required"
        for one in self.by_entity.get("request_features", ()):
            yield "feature", one["name"], one["datatype"], "required" if one["required"] else _shown(one["default"])

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "name": self.name,
            "platform": self.platform,
            "default": self.default,
            "versions": self.versions,
            "ready": self.ready,
            "inputs": self.inputs,
            "outputs": self.outputs,
            **self.by_entity,
        }


def names(client: GatewayClient) -> list[str]:
    """The models that have a route, whichever of the two spellings of the listing the server has."""
    listed = client.get("/v2/models")
    models = listed.get("models", []) if isinstance(listed, dict) else listed
    return [model["name"] if isinstance(model, dict) else str(model) for model in models]


def facts_of(client: GatewayClient, model: str, version: int | None = None, *, must_exist: bool = False) -> ModelFacts:
    """A model's facts.

    Raises:
        CommandFailed: the gateway does not answer, or `must_exist` and there is no such model.
    """
    path = model_path(model, version)
    reply = client.ask("GET", path)
    if reply.status != _OK:
        if must_exist and reply.status != _SERVICE_UNAVAILABLE:
            raise CommandFailed(f"{client.url} answered {reply.status}: {said(reply)}")
        return ModelFacts(model, "", (), ready=False, note=said(reply))
    facts, page = reply.body, _page(client, model)
    return ModelFacts(
        name=facts["name"],
        platform=facts.get("platform", ""),
        versions=tuple(int(number) for number in facts.get("versions", ())),
        ready=client.ask("GET", f"{path}/ready").status == _OK,
        default=int(page["version"]) if page.get("version") else None,
        inputs=tuple(facts.get("inputs", ())),
        outputs=tuple(facts.get("outputs", ())),
        by_entity={name: page[name] for name in _BY_ENTITY if name in page} if "on_missing" in page else {},
    )


def inputs_of(client: GatewayClient, model: str, version: int | None = None) -> tuple[dict[str, Any], ...]:
    """A model's inputs by nothing but the protocol's metadata, which any server of it has; empty where it tells none.

    Raises:
        CommandFailed: the server does not answer, or answers with an error.
    """
    metadata = client.get(model_path(model, version))
    return tuple(metadata.get("inputs") or ()) if isinstance(metadata, dict) else ()


def _page(client: GatewayClient, model: str) -> Mapping[str, Any]:
    """Sluice's own page, which has more than the protocol's: who answers by default, and what callers send."""
    page = client.ask("GET", f"/v1/models/{quote(model, safe='')}")
    return page.body if page.status == _OK and isinstance(page.body, dict) else {}


def sample_request(facts: ModelFacts) -> dict[str, Any]:
    """One row of zeros for every input; open dimensions are 1."""
    return {"inputs": [_zeros(spec) for spec in facts.inputs]}


def sample_call(url: str, facts: ModelFacts, version: int | None = None) -> str:
    """A curl that works."""
    body = orjson.dumps(sample_request(facts)).decode()
    return f"curl -s {url}{model_path(facts.name, version)}/infer -d '{body}'"


def _shown(default: float | str | None) -> str:
    """JSON knows no NaN; text stands in for what is looked up by it."""
    if default is None:
        return "NaN"
    return default if isinstance(default, str) else f"{default:g}"


def _zeros(spec: dict[str, Any]) -> dict[str, Any]:
    shape = [max(1, size) for size in spec["shape"]]
    datatype = spec["datatype"]
    zero: object = {"BOOL": False, "BYTES": ""}.get(datatype, 0)
    return {"name": spec["name"], "datatype": datatype, "shape": shape, "data": [zero] * prod(shape)}
