"""Who the server is and whether it lives: metadata and health."""

from __future__ import annotations

from serving.conformance.check import Check, Severity, Skipped, expect
from serving.conformance.exchange import Answer, shortened
from serving.conformance.http_checks.sources import HTTP, KSERVE, KSERVE_CLIENT, OIP, OIP_YAML
from serving.conformance.server import Server, path_of
from serving.conformance.wire import request_bytes, wire_to

_OK = 200
_CLIENT_ERROR = 400
_REDIRECTS = (301, 307, 308)
_NO_SUCH_MODEL = "oip-no-such-model"


def _metadata(server: Server) -> None:
    document = server.good("/v2").object()
    for field in ("name", "version"):
        expect(isinstance(document.get(field), str), f"`{field}` must be a string, got {document.get(field)!r}")
    extensions = document.get("extensions")
    strings = isinstance(extensions, list) and all(isinstance(one, str) for one in extensions)
    expect(strings, f"`extensions` must be an array of strings, got {extensions!r}")


def _metadata_slash(server: Server) -> None:
    answer = _followed(server, "/v2/")
    expect(answer.status == _OK, f"GET /v2/ is answered {answer.status}, not 200")
    expect(answer.object() == server.good("/v2").object(), "GET /v2/ and GET /v2 have different answers")


def _content_type(server: Server) -> None:
    given = server.good("/v2").header("content-type") or ""
    expect(given.split(";")[0].strip() == "application/json", f"the content type is {given!r}, not application/json")


def _head(server: Server) -> None:
    # By hand: clients do not look for a body that must not be there.
    with wire_to(server.http) as wire:
        wire.send(request_bytes(server.http, "HEAD", "/v2", b"", "Connection: close"))
        _, _, body = wire.rest().partition(b"\r\n\r\n")
    expect(not body, f"an answer to HEAD has a body: {shortened(body)}")


def _unknown_path(server: Server) -> None:
    answer = server.get("/v2/no/such/path")
    expect(answer.status == 404, f"a path that nothing is served at is answered {answer.status}, not 404")  # noqa: PLR2004


def _live(server: Server) -> None:
    server.good("/v2/health/live")


def _live_body(server: Server) -> None:
    expect(server.get("/v2/health/live").object().get("live") is True, "the body has no `live`: true")


def _ready(server: Server) -> None:
    server.good("/v2/health/ready")


def _ready_body(server: Server) -> None:
    expect(server.get("/v2/health/ready").object().get("ready") is True, "the body has no `ready`: true")


def _ready_live_body(server: Server) -> None:
    expect(server.get("/v2/health/ready").object().get("live") is True, "the body has no `live`: true")


def _model_ready(server: Server) -> None:
    server.good(f"{path_of(server.any_model().name)}/ready")


def _model_ready_body(server: Server) -> None:
    model = server.any_model()
    document = server.get(f"{path_of(model.name)}/ready").object()
    expect(document.get("name") == model.name, f"`name` must be {model.name!r}, got {document.get('name')!r}")
    expect(document.get("ready") is True, f"`ready` must be true, got {document.get('ready')!r}")


def _model_ready_versioned(server: Server) -> None:
    model, version = server.versioned_model()
    server.good(f"{path_of(model.name, version)}/ready")


def _model_ready_unknown(server: Server) -> None:
    answer = server.get(f"{path_of(_NO_SUCH_MODEL)}/ready")
    expect(answer.status >= _CLIENT_ERROR, f"a model that is not there is answered {answer.status}, as if it were")


def _health_method(server: Server) -> None:
    answer = server.post("/v2/health/live")
    expect(answer.status == 405, f"POST /v2/health/live is answered {answer.status}, not 405")  # noqa: PLR2004


def _models(server: Server) -> None:
    answer = server.get("/v2/models")
    if answer.status in (404, 405):
        raise Skipped("GET /v2/models is not served")
    expect(answer.status == _OK, f"GET /v2/models is answered {answer.status}, not 200")
    names = answer.object().get("models")
    strings = isinstance(names, list) and all(isinstance(name, str) for name in names)
    expect(strings, f"`models` must be an array of names, got {names!r:.100}")
    missing = [one.name for one in server.models if one.name not in (names or [])]
    expect(not missing, f"`models` leaves out {missing}, which are served")


def _followed(server: Server, path: str) -> Answer:
    """A redirect to the path without its slash is an answer too."""
    answer = server.get(path)
    if answer.status in _REDIRECTS:
        return server.get(path.rstrip("/"))
    return answer


CHECKS = (
    Check("http.server.metadata", "GET /v2 tells name, version and extensions.", OIP, _metadata),
    Check(
        "http.server.metadata.slash",
        "GET /v2/ answers as GET /v2 does.",
        OIP_YAML,
        _metadata_slash,
        Severity.RECOMMENDED,
    ),
    Check("http.server.content-type", "Answers in JSON are called application/json.", HTTP + ", 8.3", _content_type),
    Check("http.server.head", "HEAD is answered without a body.", HTTP + ", 9.3.2", _head),
    Check("http.server.unknown-path", "A path that nothing is served at is 404.", HTTP + ", 15.5.5", _unknown_path),
    Check("http.server.models", "GET /v2/models lists every model.", KSERVE, _models, Severity.EXTENSION),
    Check("http.health.live", "GET /v2/health/live is 200.", OIP, _live),
    Check(
        "http.health.live.body",
        "Its body has `live`: true (inference_rest.md has it, the OpenAPI document leaves it out).",
        f"{OIP}; {KSERVE_CLIENT}",
        _live_body,
        Severity.RECOMMENDED,
    ),
    Check("http.health.ready", "GET /v2/health/ready is 200.", OIP, _ready),
    Check(
        "http.health.ready.body",
        "Its body has `ready`: true, which KServe's client reads.",
        KSERVE_CLIENT,
        _ready_body,
        Severity.RECOMMENDED,
    ),
    Check(
        "http.health.ready.live",
        "Its body has `live`: true, which inference_rest.md documents.",
        OIP,
        _ready_live_body,
        Severity.RECOMMENDED,
    ),
    Check("http.health.model-ready", "GET /v2/models/{model}/ready is 200.", OIP, _model_ready),
    Check(
        "http.health.model-ready.body",
        "Its body has the model's `name` and `ready`: true (as for `live`, the OpenAPI document leaves it out).",
        OIP,
        _model_ready_body,
        Severity.RECOMMENDED,
    ),
    Check(
        "http.health.model-ready.versioned",
        "A version that metadata lists can be asked whether it is ready.",
        OIP,
        _model_ready_versioned,
    ),
    Check("http.health.model-ready.unknown", "A model that is not there is not ready.", OIP, _model_ready_unknown),
    Check(
        "http.health.method",
        "Health by another method is 405.",
        HTTP + ", 15.5.6",
        _health_method,
        Severity.RECOMMENDED,
    ),
)
