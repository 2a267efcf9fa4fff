"""Requests that cannot be answered: each is an error, a caller's error, and says so in the protocol's form."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from serving.conformance.check import Check, Failed, Severity, Skipped, expect
from serving.conformance.exchange import Answer, shortened
from serving.conformance.http_checks.sources import CALLERS, HTTP, JSON, KSERVE_CLIENT, OIP, TRITONCLIENT
from serving.conformance.infer_message import JSON_TYPE, json_body, outputs_of
from serving.conformance.served_model import ServedModel
from serving.conformance.server import Server, path_of

_CLIENT_ERROR, _NOT_FOUND, _SERVER_ERROR = 400, 404, 500
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Case:
    """What is wrong with a request; `spoil` makes it so of a good document, or gives the body itself."""

    name: str
    promise: str
    spoil: Callable[[Document], bytes | None]
    source: str = OIP
    severity: Severity = Severity.REQUIRED


def _first(**changed: object) -> Callable[[Document], None]:
    def spoil(document: Document) -> None:
        document["inputs"][0].update(changed)

    return spoil


def _without(*fields: str) -> Callable[[Document], None]:
    def spoil(document: Document) -> None:
        for field in fields:
            del document["inputs"][0][field]

    return spoil


def _whole(**changed: object) -> Callable[[Document], None]:
    def spoil(document: Document) -> None:
        document.update(changed)

    return spoil


def _body(body: bytes) -> Callable[[Document], bytes]:
    return lambda _document: body


def _more(document: Document) -> None:
    document["inputs"][0]["data"].append(document["inputs"][0]["data"][0])


def _fewer(document: Document) -> None:
    document["inputs"][0]["data"].pop()


def _ragged(document: Document) -> None:
    data = document["inputs"][0]["data"]
    document["inputs"][0]["data"] = [data[:1], data[1:]]


def _negative(document: Document) -> None:
    shape = document["inputs"][0]["shape"]
    document["inputs"][0]["shape"] = [-size for size in shape[:1]] + [-size for size in shape[1:2]] + shape[2:]


def _overflowing(document: Document) -> None:
    # The product is 0 in 64 bits.
    document["inputs"][0].update(shape=[2**32, 2**32], data=[])


def _other_width(document: Document) -> None:
    entry = document["inputs"][0]
    rows, width = entry["shape"]
    entry.update(shape=[rows, width + 1], data=entry["data"] + entry["data"][:rows])


def _other_rank(document: Document) -> None:
    entry = document["inputs"][0]
    entry["shape"] = [*entry["shape"], 1, 1]


def _twice(document: Document) -> None:
    document["inputs"].append(document["inputs"][0])


def _one_more(document: Document) -> None:
    document["inputs"].append({**document["inputs"][0], "name": "oip-no-such-input"})


def _trailing(document: Document) -> bytes:
    return json.dumps(document).encode() + b'{"more": 1}'


def _cut(document: Document) -> bytes:
    return json.dumps(document).encode()[:-3]


def _deep(_document: Document) -> bytes:
    return b'{"inputs": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"


_CASES = (
    _Case("not-json", "A body that is no JSON", _body(b"no json"), JSON),
    _Case("cut-json", "A document that stops early", _cut, JSON),
    _Case("trailing", "A second document behind the first", _trailing, JSON),
    _Case("empty", "An empty body", _body(b"")),
    _Case("array", "A body that is no object", _body(b"[1, 2]")),
    _Case("inputs-missing", "A request without `inputs`", _body(b'{"id": "1"}')),
    _Case("inputs-empty", "A request with no input", _whole(inputs=[])),
    _Case("inputs-object", "`inputs` that are no array", _whole(inputs={"x": 1})),
    _Case("deep", "A hundred thousand nested arrays", _deep),
    _Case("no-name", "An input without a name", _without("name")),
    _Case("no-shape", "An input without a shape", _without("shape")),
    _Case("no-datatype", "An input without a datatype", _without("datatype")),
    _Case("no-data", "An input without data", _without("data")),
    _Case("unknown-input", "An input that the model does not have", _first(name="oip-no-such-input")),
    _Case(
        "extra-input",
        "One more input than the model has",
        _one_more,
        f"{TRITONCLIENT}: a name that was misspelled",
        Severity.RECOMMENDED,
    ),
    _Case("input-twice", "The same input twice", _twice, CALLERS, Severity.RECOMMENDED),
    _Case("unknown-datatype", "A datatype that the protocol does not have", _first(datatype="FP99")),
    _Case(
        "other-datatype",
        "Another datatype than metadata says",
        _first(datatype="BYTES", data=["a"] * 8),
    ),
    _Case("more-data", "More elements than the shape has", _more),
    _Case("less-data", "Fewer elements than the shape has", _fewer),
    _Case("ragged", "Nested data whose rows differ in length", _ragged, CALLERS, Severity.RECOMMENDED),
    _Case("negative", "Negative sizes, whose product is right", _negative),
    _Case("overflow", "A shape whose size is 0 in 64 bits", _overflowing),
    _Case("text-shape", "A shape of strings", _first(shape=["a", "b"])),
    _Case("other-width", "A shape that the model's does not allow", _other_width),
    _Case("other-rank", "More dimensions than the model has", _other_rank),
    _Case("id-object", "An `id` that is no string", _whole(id={"a": 1}), OIP, Severity.RECOMMENDED),
    _Case("outputs-text", "`outputs` that are no array of objects", _whole(outputs="y")),
)


def _refused(case: _Case, server: Server) -> None:
    answer = _sent(case, server)
    expect(answer.status >= _CLIENT_ERROR, f"answered {answer.status}, as if it were right")


def _missing_input(server: Server) -> None:
    model = server.several_inputs()
    answer = server.infer(model, json_body(model.telling_inputs()[:1]))
    expect(answer.status >= _CLIENT_ERROR, f"a request without {model.inputs[1].name!r} is answered {answer.status}")


def _unknown_model(server: Server) -> None:
    answer = _to_unknown_model(server)
    expect(answer.status >= _CLIENT_ERROR, f"a model that is not there answers {answer.status}")


def _unknown_version(server: Server) -> None:
    model = server.any_model()
    answer = server.infer(model, json_body(model.telling_inputs()), version="987654321")
    expect(answer.status >= _CLIENT_ERROR, f"a version that is not there answers {answer.status}")


def _unknown_is_404(server: Server) -> None:
    model = server.any_model()
    of_version = server.infer(model, json_body(model.telling_inputs()), version="987654321")
    for what, answer in (("model", _to_unknown_model(server)), ("version", of_version)):
        refused_otherwise = answer.status >= _CLIENT_ERROR and answer.status != _NOT_FOUND
        expect(not refused_otherwise, f"a {what} that is not there answers {answer.status}, not 404")


def _wrong_method(server: Server) -> None:
    answer = server.get(f"{path_of(server.any_model().name)}/infer")
    expect(answer.status == 405, f"GET on an infer path is answered {answer.status}, not 405")  # noqa: PLR2004


def _traversal(server: Server) -> None:
    for path in ("/v2/models/..%2f..%2fetc%2fpasswd", "/v2/models/%2e%2e/infer", "/v2/models/a%00b", "/v2/models/%ff"):
        answer = server.get(path)
        expect(_CLIENT_ERROR <= answer.status < _SERVER_ERROR, f"GET {path} is answered {answer.status}")


def _callers_error(server: Server) -> None:
    wrong = {name: answer.status for name, answer in _all(server).items() if answer.status >= _SERVER_ERROR}
    expect(not wrong, f"the server takes the blame for callers' mistakes: {wrong}")


def _error_text(server: Server) -> None:
    for name, answer in _all(server).items():
        if answer.status < _CLIENT_ERROR:
            continue
        try:
            text = answer.object().get("error")
        except Failed as failed:
            raise Failed(f"{name}: {failed}") from failed
        expect(isinstance(text, str) and text, f"{name}: the body has no `error` text: {shortened(answer.body)}")


def _error_type(server: Server) -> None:
    for name, answer in _all(server).items():
        given = answer.header("content-type") or ""
        right = answer.status < _CLIENT_ERROR or given == "application/json"
        expect(right, f"{name}: the content type is {given!r}; KServe's client reads application/json alone")


def _other_errors(server: Server) -> None:
    asked = {
        "unknown path": server.get("/v2/no/such/path"),
        "unknown model": server.get(path_of("oip-no-such-model")),
        "wrong method": server.get(f"{path_of(server.any_model().name)}/infer"),
    }
    for name, answer in asked.items():
        if answer.status < _CLIENT_ERROR:
            continue
        try:
            text = answer.object().get("error")
        except Failed as failed:
            raise Failed(f"{name}: {failed}") from failed
        expect(isinstance(text, str) and text, f"{name}: the body has no `error` text: {shortened(answer.body)}")


def _good_after_bad(server: Server) -> None:
    _all(server)
    model = server.any_model()
    inputs = model.telling_inputs()
    model.check(inputs, outputs_of(server.infer(model, json_body(inputs))))


def _all(server: Server) -> Mapping[str, Answer]:
    """Every case's answer."""
    answers = {}
    for case in _CASES:
        try:
            answers[case.name] = _sent(case, server)
        except Skipped:
            continue
    return answers | {"unknown-model": _to_unknown_model(server)}


def _sent(case: _Case, server: Server) -> Answer:
    model = server.any_model()
    return server.infer(model, _spoiled(case, model))


def _spoiled(case: _Case, model: ServedModel) -> bytes:
    document: Document = {"inputs": [one.as_json() for one in model.telling_inputs()]}
    try:
        body = case.spoil(document)
    except (ValueError, IndexError) as error:
        raise Skipped("no model with an input of two dimensions") from error
    return json.dumps(document).encode() if body is None else body


def _to_unknown_model(server: Server) -> Answer:
    body = json_body(server.any_model().telling_inputs())
    return server.post(f"{path_of('oip-no-such-model')}/infer", body, JSON_TYPE)


def _of_case(case: _Case) -> Check:
    promise = f"{case.promise} is an error."
    return Check(f"http.refusal.{case.name}", promise, case.source, partial(_refused, case), case.severity)


CHECKS = (
    *(_of_case(case) for case in _CASES),
    Check("http.refusal.missing-input", "A request that leaves out a needed input is an error.", OIP, _missing_input),
    Check("http.refusal.unknown-model", "A model that is not there is an error.", OIP, _unknown_model),
    Check("http.refusal.unknown-version", "A version that is not there is an error.", OIP, _unknown_version),
    Check(
        "http.refusal.unknown.404", "Both of them are 404.", HTTP + ", 15.5.5", _unknown_is_404, Severity.RECOMMENDED
    ),
    Check(
        "http.refusal.method", "GET on an infer path is 405.", HTTP + ", 15.5.6", _wrong_method, Severity.RECOMMENDED
    ),
    Check(
        "http.refusal.traversal",
        "Names that are paths, NUL or no UTF-8 are a caller's error.",
        HTTP,
        _traversal,
    ),
    Check(
        "http.error.callers",
        "A caller's mistake is 4xx: who gets 5xx tries again.",
        HTTP + ", 15.5",
        _callers_error,
        Severity.RECOMMENDED,
    ),
    Check("http.error.text", "A refused request's body is an object with the text `error`.", OIP, _error_text),
    Check(
        "http.error.text.everywhere",
        "So is that of an unknown path, an unknown model's metadata and a wrong method.",
        f"{OIP}; {TRITONCLIENT}",
        _other_errors,
        Severity.RECOMMENDED,
    ),
    Check(
        "http.error.content-type",
        "An error's content type is exactly application/json: KServe's client shows its text only then.",
        KSERVE_CLIENT,
        _error_type,
        Severity.RECOMMENDED,
    ),
    Check("http.error.good-after-bad", "A good request after all of these is answered right.", OIP, _good_after_bad),
)
