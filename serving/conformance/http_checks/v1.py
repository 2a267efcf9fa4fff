"""KServe's older V1 protocol, where it is served."""

from __future__ import annotations

import json
from collections.abc import Iterator

from serving.conformance.check import Check, Failed, Severity, Skipped, Try, expect
from serving.conformance.datatypes import to_json
from serving.conformance.http_checks.infer_json import nested
from serving.conformance.http_checks.sources import V1
from serving.conformance.infer_message import flat
from serving.conformance.served_model import ServedModel
from serving.conformance.server import Server

_OK, _CLIENT_ERROR = 200, 400


def _models(server: Server) -> None:
    names = _served(server)
    missing = [one.name for one in server.models if one.name not in names]
    expect(not missing, f"GET /v1/models leaves out {missing}")


def _model(server: Server) -> None:
    _served(server)
    model = server.any_model()
    document = server.good(f"/v1/models/{model.name}").object()
    expect(document.get("name") == model.name, f"`name` must be {model.name!r}, got {document.get('name')!r}")
    expect(str(document.get("ready")).lower() == "true", f"`ready` must be true, got {document.get('ready')!r}")


def _model_unknown(server: Server) -> None:
    _served(server)
    answer = server.get("/v1/models/oip-no-such-model")
    expect(answer.status >= _CLIENT_ERROR, f"a model that is not there is answered {answer.status}")


def _predict(server: Server) -> None:
    _served(server)
    model = server.row_model()
    predictions = _predicted(server, model)
    expect(len(predictions) == 2, f"two instances have {len(predictions)} predictions")  # noqa: PLR2004
    expected = to_json(model.telling_inputs()[0].values)
    got = flat([list(one.values()) if isinstance(one, dict) else one for one in predictions])
    got = flat([list(value.values()) if isinstance(value, dict) else value for value in got])
    expect(got == expected, f"the predictions are {got}, not {expected}")


def _predict_unknown(server: Server) -> None:
    _served(server)
    answer = server.post("/v1/models/oip-no-such-model:predict", b'{"instances": [[1]]}')
    expect(answer.status >= _CLIENT_ERROR, f"a model that is not there is answered {answer.status}")


def _predict_broken(server: Server) -> None:
    _served(server)
    answer = server.post(f"/v1/models/{server.any_model().name}:predict", b"no json")
    expect(answer.status >= _CLIENT_ERROR, f"a body that is no JSON is answered {answer.status}")


def _alive(server: Server) -> None:
    _served(server)
    document = server.good("/").object()
    expect(document.get("status") == "alive", f"`status` must be 'alive', got {document.get('status')!r}")


def _served(server: Server) -> list[str]:
    answer = server.get("/v1/models")
    if answer.status in (404, 405):
        raise Skipped("GET /v1/models is not served")
    expect(answer.status == _OK, f"GET /v1/models is answered {answer.status}, not 200")
    names = answer.object().get("models")
    if not isinstance(names, list):
        raise Failed(f"`models` must be an array of names, got {names!r:.100}")
    return [str(name) for name in names]


def _predicted(server: Server, model: ServedModel) -> list[object]:
    wrong = []
    for instances in _instances(model):
        answer = server.post(f"/v1/models/{model.name}:predict", json.dumps({"instances": instances}).encode())
        if answer.status == _OK:
            predictions = answer.object().get("predictions")
            if not isinstance(predictions, list):
                raise Failed(f"`predictions` must be an array, got {predictions!r:.100}")
            return predictions
        wrong.append(answer.status)
    raise Failed(f"instances as values and as named fields are answered {wrong}")


def _instances(model: ServedModel) -> Iterator[list[object]]:
    """V1 leaves open what an instance is: the only input's value, or an object of named inputs."""
    rows = nested(model.telling_inputs()[0])
    assert isinstance(rows, list)  # noqa: S101 - for the type checker
    yield rows
    yield [{model.inputs[0].name: row} for row in rows]


def _check(name: str, promise: str, run: Try) -> Check:
    return Check(f"http.v1.{name}", promise, V1, run, Severity.EXTENSION)


CHECKS = (
    _check("alive", 'GET / is {"status": "alive"}.', _alive),
    _check("models", "GET /v1/models lists every model.", _models),
    _check("model", "GET /v1/models/{model} tells its name and that it is ready.", _model),
    _check("model.unknown", "A model that is not there is an error.", _model_unknown),
    _check("predict", "As many predictions as instances, and the right ones.", _predict),
    _check("predict.unknown", "A prediction of a model that is not there is an error.", _predict_unknown),
    _check("predict.broken", "A body that is no JSON is an error.", _predict_broken),
)
