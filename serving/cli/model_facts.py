"""What a gateway tells of its models, and the request that a person would try first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any
from urllib.parse import quote

import orjson

from serving.cli.failure import CommandFailed
from serving.cli.gateway_client import GatewayClient, model_path

_OK = 200
_SERVICE_UNAVAILABLE = 503


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A model's metadata; without inputs while nothing that lives has told its signature."""

    name: str
    platform: str
    versions: tuple[int, ...]
    ready: bool
    default: int | None = None
    inputs: tuple[dict[str, Any], ...] = ()
    outputs: tuple[dict[str, Any], ...] = ()
    note: str = ""

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
        said = reply.body.get("error", "") if isinstance(reply.body, dict) else str(reply.body)
        if must_exist and reply.status != _SERVICE_UNAVAILABLE:
            raise CommandFailed(f"{client.url} answered {reply.status}: {said}")
        return ModelFacts(model, "", (), ready=False, note=said)
    facts = reply.body
    return ModelFacts(
        name=facts["name"],
        platform=facts.get("platform", ""),
        versions=tuple(int(number) for number in facts.get("versions", ())),
        ready=client.ask("GET", f"{path}/ready").status == _OK,
        default=_default(client, model),
        inputs=tuple(facts.get("inputs", ())),
        outputs=tuple(facts.get("outputs", ())),
    )


def _default(client: GatewayClient, model: str) -> int | None:
    """The version that answers where none is asked for: Sluice's own page has it, the protocol's has not."""
    page = client.ask("GET", f"/v1/models/{quote(model, safe='')}")
    number = page.body.get("version") if page.status == _OK and isinstance(page.body, dict) else None
    return int(number) if number else None


def sample_request(facts: ModelFacts) -> dict[str, Any]:
    """One row of zeros for every input; open dimensions are 1."""
    return {"inputs": [_zeros(spec) for spec in facts.inputs]}


def sample_call(url: str, facts: ModelFacts, version: int | None = None) -> str:
    """A curl that works."""
    body = orjson.dumps(sample_request(facts)).decode()
    return f"curl -s {url}{model_path(facts.name, version)}/infer -d '{body}'"


def _zeros(spec: dict[str, Any]) -> dict[str, Any]:
    shape = [max(1, size) for size in spec["shape"]]
    datatype = spec["datatype"]
    zero: object = {"BOOL": False, "BYTES": ""}.get(datatype, 0)
    return {"name": spec["name"], "datatype": datatype, "shape": shape, "data": [zero] * prod(shape)}
