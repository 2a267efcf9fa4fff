"""Inference in JSON: what is sent is computed, and the answer has the protocol's form."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

from serving.conformance.check import Check, Failed, Severity, expect
from serving.conformance.http_checks.sources import HTTP_1, JSON, KSERVE_CLIENT, OIP, TRITONCLIENT
from serving.conformance.infer_message import JSON_TYPE, flat, json_body, outputs_of
from serving.conformance.served_model import ServedModel
from serving.conformance.server import Server, path_of
from serving.conformance.tensors import Tensor, product, same

_OK = 200
_CALLERS, _EACH = 8, 4


def _flat(server: Server) -> None:
    model = server.any_model()
    inputs = model.telling_inputs()
    model.check(inputs, server.infer_json(model, inputs))


def _nested(server: Server) -> None:
    model = server.any_model()
    inputs = model.telling_inputs()
    entries = [{**one.as_json(), "data": nested(one)} for one in inputs]
    got = outputs_of(server.infer(model, json.dumps({"inputs": entries}).encode()))
    model.check(inputs, got)


def _any_form(server: Server) -> None:
    model = server.any_model()
    inputs = model.telling_inputs()
    entries = [dict(reversed(one.as_json().items())) for one in inputs]
    text = json.dumps({"inputs": entries}, indent=3).replace('"name"', '"n\\u0061me"').replace("\n", "\r\n\t")
    model.check(inputs, outputs_of(server.infer(model, f" {text}\n".encode())))


def _all_outputs(server: Server) -> None:
    model = server.any_model()
    got = server.infer_json(model, model.telling_inputs())
    expect(set(got) == {spec.name for spec in model.outputs}, f"the outputs are {sorted(got)}")


def _output_form(server: Server) -> None:
    model = server.any_model()
    answer = server.infer(model, json_body(model.telling_inputs()))
    for entry in answer.object().get("outputs") or []:
        missing = [key for key in ("name", "shape", "datatype", "data") if key not in entry]
        expect(not missing, f"an output lacks {missing}")
        count = len(flat(entry["data"]))
        expect(count == product(entry["shape"]), f"{entry['name']!r} of shape {entry['shape']} has {count} elements")


def _several(server: Server) -> None:
    model = server.several_inputs()
    inputs = model.telling_inputs()
    model.check(inputs, server.infer_json(model, inputs))
    model.check(inputs, server.infer_json(model, list(reversed(inputs))))


def _scalar(server: Server) -> None:
    model = server.known_model("oip-scalar")
    inputs = model.telling_inputs()
    model.check(inputs, server.infer_json(model, inputs))


def _optional(server: Server) -> None:
    model = server.known_model("oip-optional")
    inputs = model.telling_inputs()
    model.check(inputs, server.infer_json(model, inputs))
    model.check(inputs[:1], server.infer_json(model, inputs[:1]))


def _content_type(server: Server) -> None:
    model = server.any_model()
    given = server.infer(model, json_body(model.telling_inputs())).header("content-type") or ""
    expect(given.split(";")[0].strip() == "application/json", f"the content type is {given!r}, not application/json")


def _model_name(server: Server) -> None:
    model = server.any_model()
    name = server.infer(model, json_body(model.telling_inputs())).object().get("model_name")
    expect(name == model.name, f"`model_name` must be {model.name!r}, got {name!r}")


def _model_version(server: Server) -> None:
    model = server.any_model()
    version = server.infer(model, json_body(model.telling_inputs())).object().get("model_version", "")
    expect(isinstance(version, str), f"`model_version` must be a string where it is there, got {version!r}")


def _versioned(server: Server) -> None:
    model, version = server.versioned_model()
    inputs = model.telling_inputs()
    answer = server.infer(model, json_body(inputs), version=version)
    model.check(inputs, outputs_of(answer))
    answered = answer.object().get("model_version", version)
    expect(str(answered) == version, f"version {version} was asked and {answered!r} answered")


def _id(server: Server) -> None:
    model = server.any_model()
    for given in ("42", 'with "quotes" and \\', "\u00e4 \u6f22 \U0001f600"):
        got = server.infer(model, json_body(model.telling_inputs(), id=given)).object().get("id")
        expect(got == given, f"`id` must come back as {given!r}, got {got!r}")


def _id_always(server: Server) -> None:
    model = server.any_model()
    got = server.infer(model, json_body(model.telling_inputs())).object().get("id")
    expect(isinstance(got, str), f"`id` must be a string, also where none was sent, got {got!r}")


def _no_content_type(server: Server) -> None:
    _by_content_type(server, None)


def _octet_stream(server: Server) -> None:
    _by_content_type(server, "application/octet-stream")


def _charset(server: Server) -> None:
    _by_content_type(server, "application/json; charset=utf-8")


def _by_content_type(server: Server, content_type: str | None) -> None:
    model = server.any_model()
    inputs = model.telling_inputs()
    headers = {} if content_type is None else {"content-type": content_type}
    model.check(inputs, outputs_of(server.infer(model, json_body(inputs), headers)))


def _chunked(server: Server) -> None:
    model = server.any_model()
    inputs = model.telling_inputs()
    body = json_body(inputs)
    middle = len(body) // 2
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:middle], body[middle:]))
    headers = {**JSON_TYPE, "transfer-encoding": "chunked"}
    model.check(inputs, outputs_of(server.infer(model, chunks + b"0\r\n\r\n", headers)))


def _no_rows(server: Server) -> None:
    model = server.row_model()
    empty = [Tensor(one.name, one.datatype, (0, *one.shape[1:]), one.values[:0]) for one in model.telling_inputs()]
    answer = server.infer(model, json_body(empty))
    expect(answer.status < 500, f"no rows are answered {answer.status}")  # noqa: PLR2004 - the server's own fault
    if answer.status == _OK:
        model.check(empty, outputs_of(answer))


def _at_once(server: Server) -> None:
    model = server.any_model()
    if model.known is None:
        model = server.row_model()

    def call(caller: int) -> str:
        client = server.http.another()
        try:
            for turn in range(_EACH):
                inputs = model.telling_inputs(start=1 + 31 * (caller * _EACH + turn))
                answer = client.ask("POST", f"{path_of(model.name)}/infer", json_body(inputs), JSON_TYPE)
                model.check(inputs, outputs_of(answer))
        except Failed as failed:
            return str(failed)
        finally:
            client.close()
        return ""

    with ThreadPoolExecutor(_CALLERS) as pool:
        wrong = [said for said in pool.map(call, range(_CALLERS)) if said]
    expect(not wrong, f"{len(wrong)} of {_CALLERS} callers at once were answered wrong: {wrong[:1]}")


def _rows_alone(server: Server) -> None:
    for model in _row_models(server):
        inputs = model.telling_inputs(rows=5)
        together = server.infer_json(model, inputs)
        for row in range(5):
            alone = server.infer_json(model, [one.row(row) for one in inputs])
            for spec in model.outputs:
                differs = same(together[spec.name].row(row), alone[spec.name])
                expect(not differs, f"row {row} of 5 asked alone: {differs}")


def nested(tensor: Tensor) -> object:
    """The tensor's data in its natural form."""
    data = tensor.as_json()["data"]
    for size in reversed(tensor.shape[1:]):
        assert isinstance(data, list)  # noqa: S101 - for the type checker
        data = [data[at : at + size] for at in range(0, len(data), size)] if size else data
    return data


def _row_models(server: Server) -> list[ServedModel]:
    first = server.row_model()
    return [first, *(one for one in server.models if one.name == "oip-two" and one.known and one is not first)]


_CLIENTS = Severity.RECOMMENDED
CHECKS = (
    Check("http.infer.flat", "Flat row-major data is computed.", OIP + ", Tensor Data", _flat),
    Check("http.infer.nested", "Data in its natural nesting is computed alike.", OIP + ", Tensor Data", _nested),
    Check("http.infer.any-json", "Whitespace, escapes and the order of keys change nothing.", JSON, _any_form),
    Check("http.infer.all-outputs", "Without `outputs` every output is answered.", OIP, _all_outputs),
    Check("http.infer.output-form", "Every output has name, shape, datatype, and as many elements.", OIP, _output_form),
    Check("http.infer.several-inputs", "Several inputs go by name, in whatever order.", OIP, _several),
    Check("http.infer.scalar", "A tensor of shape [] is one element.", OIP, _scalar),
    Check(
        "http.infer.optional-input",
        "An input with a default may be left out.",
        "ONNX IR: an initializer that is an input is its default",
        _optional,
        Severity.RECOMMENDED,
    ),
    Check("http.infer.content-type", "An answer in JSON is called application/json.", OIP, _content_type),
    Check("http.infer.model-name", "The answer names the model.", f"{OIP}; {KSERVE_CLIENT}", _model_name),
    Check("http.infer.model-version", "`model_version` is a string where it is there.", OIP, _model_version),
    Check("http.infer.versioned", "A listed version can be asked at its path, and answers.", OIP, _versioned),
    Check("http.infer.id", "The request's `id` comes back unchanged.", OIP, _id),
    Check(
        "http.infer.id.always",
        "`id` is a string also where none was sent: KServe's client requires it.",
        KSERVE_CLIENT,
        _id_always,
        _CLIENTS,
    ),
    Check(
        "http.infer.no-content-type",
        "A body without a content type is read: tritonclient.http sends none.",
        TRITONCLIENT,
        _no_content_type,
        _CLIENTS,
    ),
    Check(
        "http.infer.octet-stream",
        "JSON called application/octet-stream is read: tritonclient.http.aio sends that.",
        TRITONCLIENT,
        _octet_stream,
        _CLIENTS,
    ),
    Check("http.infer.charset", "application/json with a charset is read.", "RFC 8259, 11", _charset, _CLIENTS),
    Check("http.infer.chunked", "A body in chunks is read.", HTTP_1 + ", 7.1", _chunked),
    Check("http.infer.no-rows", "No rows are answered, or refused as the caller's mistake.", OIP, _no_rows, _CLIENTS),
    Check("http.infer.at-once", "Callers at once each get the answer to their own input.", OIP, _at_once),
    Check("http.infer.rows-alone", "A row among others is answered as it is alone.", OIP, _rows_alone),
)
