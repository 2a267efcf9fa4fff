"""The model repository extension: the index, and loading and unloading where that is allowed."""

from __future__ import annotations

import time
from typing import Any

from serving.conformance.check import Check, Failed, Severity, Skipped, Try, expect
from serving.conformance.exchange import Answer
from serving.conformance.http_checks.sources import REPOSITORY
from serving.conformance.infer_message import JSON_TYPE, json_body, outputs_of
from serving.conformance.known_models import identity_name
from serving.conformance.server import Server, path_of

_EXTENSION = "model_repository"
_OK, _CLIENT_ERROR = 200, 400
_CHANGES_WITHIN_S, _LOOKS = 10.0, 100


def _index(server: Server) -> None:
    for entry in _entries(server, b"{}"):
        for field in ("name", "state", "reason"):
            expect(isinstance(entry.get(field), str), f"`{field}` must be a string, got {entry!r:.200}")


def _index_empty_body(server: Server) -> None:
    answer = server.post("/v2/repository/index", b"", {})
    expect(answer.status == _OK, f"an index without a body is answered {answer.status}")


def _index_all(server: Server) -> None:
    named = {entry.get("name") for entry in _entries(server, b"{}")}
    missing = [one.name for one in server.models if one.name not in named]
    expect(not missing, f"the index leaves out {missing}")


def _index_ready(server: Server) -> None:
    states = {entry.get("state") for entry in _entries(server, b'{"ready": true}')}
    expect(states <= {"READY"}, f"the index of ready models has {sorted(map(str, states))}")


def _load_unknown(server: Server) -> None:
    answer = _order(server, "oip-no-such-model", "load")
    expect(answer.status >= _CLIENT_ERROR, f"a model that is not there is loaded: {answer.status}")


def _there_and_back(server: Server) -> None:
    name = _spare(server)
    inputs = server.known_model(name).telling_inputs()
    try:
        answer = _order(server, name, "unload")
        expect(answer.status == _OK, f"unload is answered {answer.status}, not 200")
        gone = _until(server, name, ready=False)
        expect(gone, f"{name} is still ready {_CHANGES_WITHIN_S:g} s after it was unloaded")
        refused = server.post(f"{path_of(name)}/infer", json_body(inputs))
        expect(refused.status >= _CLIENT_ERROR, f"{name} answers {refused.status} after it was unloaded")
    finally:
        answer = _order(server, name, "load")
    expect(answer.status == _OK, f"load is answered {answer.status}, not 200")
    expect(_until(server, name, ready=True), f"{name} is not ready {_CHANGES_WITHIN_S:g} s after it was loaded")
    model = server.known_model(name)
    model.check(inputs, outputs_of(server.infer(model, json_body(inputs))))


def _without_token(server: Server) -> None:
    name = _spare(server)
    if not server.token or server.token == "none":  # noqa: S105 - how people say that there is none
        raise Skipped("loading needs no token here (--token none)")
    answer = server.post(f"/v2/repository/models/{name}/load", b"{}", JSON_TYPE)
    expect(answer.status >= _CLIENT_ERROR, f"load without the token is answered {answer.status}")


def _spare(server: Server) -> str:
    """A model of ours that no other check begins with."""
    if server.token is None:
        raise Skipped("models are loaded and unloaded only with --token (none: where the server asks for none)")
    return server.known_model(identity_name("INT16")).name


def _order(server: Server, name: str, verb: str) -> Answer:
    if server.token is None:
        raise Skipped("models are loaded and unloaded only with --token (none: where the server asks for none)")
    headers = dict(JSON_TYPE)
    if server.token not in ("", "none"):
        headers["authorization"] = f"Bearer {server.token}"
    return server.post(f"/v2/repository/models/{name}/{verb}", b"{}", headers)


def _until(server: Server, name: str, *, ready: bool) -> bool:
    for _ in range(_LOOKS):
        if (server.get(f"{path_of(name)}/ready").status == _OK) is ready:
            return True
        time.sleep(_CHANGES_WITHIN_S / _LOOKS)
    return False


def _entries(server: Server, body: bytes) -> list[dict[str, Any]]:
    answer = server.post("/v2/repository/index", body)
    expect(answer.status == _OK, f"POST /v2/repository/index is answered {answer.status}, not 200")
    index = answer.json()
    if not isinstance(index, list) or not index or not all(isinstance(entry, dict) for entry in index):
        raise Failed(f"the index must be an array of models, got {index!r:.200}")
    return index


def _check(name: str, promise: str, run: Try, severity: Severity = Severity.EXTENSION) -> Check:
    return Check(f"http.repository.{name}", promise, REPOSITORY, run, severity, _EXTENSION)


CHECKS = (
    _check("index", "The index is an array of name, state and reason.", _index),
    _check("index.no-body", "An index is given without a body too.", _index_empty_body, Severity.RECOMMENDED),
    _check("index.all", "Every model that is served is in it.", _index_all),
    _check("index.ready", "With `ready` it has models that are ready alone.", _index_ready),
    _check("load.unknown", "A model that is not in the repository cannot be loaded.", _load_unknown),
    _check("load.token", "Where there is a token, nobody loads without it.", _without_token),
)
# Apart from the others, since it comes last: what a server does not load again, other checks would miss.
LAST = (_check("unload-load", "An unloaded model does not answer; loaded again it does.", _there_and_back),)
