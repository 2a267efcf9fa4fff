"""What is served: the models that are named, that lie in a repository, or that the server lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.conformance.check import Failed
from serving.conformance.exchange import Answer
from serving.conformance.grpc_client import GrpcClient
from serving.conformance.http_client import HttpClient, NotReachable
from serving.conformance.infer_message import JSON_TYPE, json_body
from serving.conformance.served_model import ServedModel, served_model
from serving.conformance.server import Server, path_of

_OK = 200
# A server with thousands of models is not asked for each.
_MOST = 64


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line says about the server; `models` are asked for whatever the server lists."""

    url: str
    grpc: str | None = None
    models: Sequence[str] = ()
    model_repo: Path | None = None
    token: str | None = None
    timeout_s: float = 10.0


def discover(wanted: Wanted) -> Server:
    """Ask the server who it is and what it serves.

    Raises:
        NotReachable: nothing answers there.
        ValueError: the URL is none.
    """
    client = HttpClient(wanted.url, wanted.timeout_s)
    identity = _object(client.ask("GET", "/v2"))
    named = [*wanted.models, *_in_repository(wanted.model_repo)]
    models = list(_described(client, named or _listed(client), wanted.models))
    # A model that refuses harmless values cannot be used, unless somebody insists on it, or we know that it should.
    usable = [one for one in models if one.name in named or one.known or _answers(client, one)]
    extensions = identity.get("extensions")
    client.transcript.clear()
    return Server(
        http=client,
        models=tuple(usable or models),
        extensions=frozenset(map(str, extensions)) if isinstance(extensions, list) else frozenset(),
        token=wanted.token,
        grpc=_over_grpc(wanted, client),
        identity={key: identity[key] for key in ("name", "version", "extensions") if key in identity},
    )


def _over_grpc(wanted: Wanted, client: HttpClient) -> GrpcClient | None:
    if wanted.grpc is None:
        return None
    over_grpc = GrpcClient(wanted.grpc, wanted.timeout_s, client.transcript)
    over_grpc.connect()
    return over_grpc


def _in_repository(root: Path | None) -> list[str]:
    return sorted(path.name for path in root.iterdir() if path.is_dir()) if root else []


def _listed(client: HttpClient) -> list[str]:
    """By KServe's list, else by the index of the repository extension."""
    names = _object(client.ask("GET", "/v2/models")).get("models")
    if isinstance(names, list) and names:
        return [str(name) for name in names][:_MOST]
    answer = client.ask("POST", "/v2/repository/index", b"{}", JSON_TYPE)
    index = _json(answer)
    if not isinstance(index, list):
        return []
    found = [str(entry["name"]) for entry in index if isinstance(entry, dict) and "name" in entry]
    return list(dict.fromkeys(found))[:_MOST]


def _described(client: HttpClient, names: Sequence[str], insisted: Sequence[str]) -> Iterator[ServedModel]:
    """A server may list, and a repository hold, what cannot be served; who is named on the command line must be."""
    for name in dict.fromkeys(names):
        answer = client.ask("GET", path_of(name))
        if answer.status == _OK or name in insisted:
            yield served_model(name, _object(answer))


def _answers(client: HttpClient, model: ServedModel) -> bool:
    if not model.inputs or not model.in_json:
        return bool(model.inputs)
    try:
        answer = client.ask("POST", f"{path_of(model.name)}/infer", json_body(model.plain_inputs()), JSON_TYPE)
    except NotReachable:
        return False
    return answer.status == _OK


def _object(answer: Answer) -> dict[str, Any]:
    document = _json(answer)
    return document if isinstance(document, dict) and answer.status == _OK else {}


def _json(answer: Answer) -> Any:  # noqa: ANN401 - JSON
    try:
        return answer.json()
    except Failed:
        return None
