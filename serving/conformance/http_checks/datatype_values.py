"""Values of each datatype in JSON: the extremes come back, and what does not fit is not bent until it does."""

from __future__ import annotations

import json
from functools import partial

from serving.conformance.check import Check, Failed, Severity, Skipped, expect
from serving.conformance.datatypes import DATATYPES, IN_JSON, INTEGERS
from serving.conformance.http_checks.sources import JSON, OIP
from serving.conformance.infer_message import binary_body, json_body, outputs_of
from serving.conformance.server import Server
from serving.conformance.tensors import Tensor, made

_OK = 200
_CLIENT_ERROR, _SERVER_ERROR = 400, 500


def _values(datatype: str, server: Server) -> None:
    model = server.identity_model(datatype)
    inputs = [made("x", datatype, (1, 4), DATATYPES[datatype].telling())]
    model.check(inputs, server.infer_json(model, inputs))


def _half_in_json(datatype: str, server: Server) -> None:
    """No float16 in JSON is defined: refuse it, or get it right."""
    model = server.identity_model(datatype)
    entry = {"name": "x", "datatype": datatype, "shape": [1, 4], "data": [0.5, -2.0, 1.0, 0.0]}
    answer = server.infer(model, json.dumps({"inputs": [entry]}).encode())
    if _CLIENT_ERROR <= answer.status < _SERVER_ERROR:
        return
    expect(answer.status == _OK, f"{datatype} in JSON is answered {answer.status}: neither right nor refused")
    outputs = answer.object().get("outputs") or [{}]
    data = outputs[0].get("data")
    values = [value for part in data for value in (part if isinstance(part, list) else [part])] if data else None
    expect(values == entry["data"], f"{datatype} in JSON came back as {values!r}")


def _range(datatype: str, server: Server) -> None:
    kind = DATATYPES[datatype]
    model = server.identity_model(datatype)
    for value in (kind.highest + 1, kind.lowest - 1):
        entry = {"name": "x", "datatype": datatype, "shape": [1, 4], "data": [0, 0, 0, value]}
        answer = server.infer(model, json.dumps({"inputs": [entry]}).encode())
        expect(answer.status >= _CLIENT_ERROR, f"{value} does not fit {datatype} and is answered {answer.status}")


def _wrong_kind(datatype: str, value: object, server: Server) -> None:
    model = server.identity_model(datatype)
    entry = {"name": "x", "datatype": datatype, "shape": [1, 4], "data": [value] * 4}
    answer = server.infer(model, json.dumps({"inputs": [entry]}).encode())
    expect(answer.status >= _CLIENT_ERROR, f"{value!r} as {datatype} is answered {answer.status}")


def _not_a_number_sent(server: Server) -> None:
    model = server.identity_model("FP32")
    for constant in ("NaN", "Infinity", "-Infinity"):
        body = json_body([made("x", "FP32", (1, 4), [0.0, 1.0, 2.0, 3.0])]).replace(b"3.0", constant.encode())
        answer = server.infer(model, body)
        expect(_CLIENT_ERROR <= answer.status < _SERVER_ERROR, f"{constant} in JSON is answered {answer.status}")


def _not_a_number_answered(server: Server) -> None:
    """Get a NaN into the model by whatever the server takes, and ask for it in JSON."""
    model = server.identity_model("FP32")
    tensor = made("x", "FP32", (1, 4), [0.0, float("nan"), float("inf"), 1.0])
    body, headers = _binary([tensor])
    by_bytes = server.infer(model, body, headers)
    for answer in (by_bytes, server.infer(model, json_body([tensor]))):
        if answer.status == _OK:
            try:
                answer.object()
            except Failed as failed:
                raise Failed(f"a NaN in an output makes an answer that is no JSON: {failed}") from failed
            return
    if server.infer_binary(model, [tensor], parameters={"binary_data_output": True}).status != _OK:
        raise Skipped("the server takes no NaN, neither in JSON nor as binary data")


def _text_that_is_none(server: Server) -> None:
    """Bytes that are no UTF-8 cannot be a JSON string: an error, or another form, but never broken JSON."""
    model = server.identity_model("BYTES")
    body, headers = _binary([made("x", "BYTES", (1, 4), [b"\xff\xfe", b"a", b"b", b"c"])])
    answer = server.infer(model, body, headers)
    if answer.status == _OK:
        try:
            outputs_of(answer)
        except Failed as failed:
            raise Failed(f"bytes that are no UTF-8 make an answer that is no JSON: {failed}") from failed


def _binary(tensors: list[Tensor]) -> tuple[bytes, dict[str, str]]:
    body, headers = binary_body(tensors)
    return body, dict(headers)


_COERCED = "the specification lets a server coerce, so an error is only better"
CHECKS = (
    *(
        Check(
            f"http.datatype.{name.lower()}",
            f"{name} in JSON: the extremes come back as they were.",
            OIP + ", Tensor Data Types",
            partial(_values, name),
        )
        for name in IN_JSON
    ),
    *(
        Check(
            f"http.datatype.{name.lower()}",
            f"{name} in JSON is refused, or right.",
            OIP + ", Tensor Data Types",
            partial(_half_in_json, name),
        )
        for name in ("FP16", "BF16")
    ),
    *(
        Check(
            f"http.datatype.{name.lower()}.range",
            f"An integer that {name} does not hold is refused ({_COERCED}).",
            OIP + ", Tensor Data",
            partial(_range, name),
            Severity.RECOMMENDED,
        )
        for name in INTEGERS
    ),
    Check(
        "http.datatype.text-for-number",
        "Text that is no number is no FP32.",
        OIP + ", Tensor Data",
        partial(_wrong_kind, "FP32", "no number"),
    ),
    Check(
        "http.datatype.object-for-number",
        "An object is no element.",
        OIP + ", Tensor Data",
        partial(_wrong_kind, "INT32", {}),
    ),
    Check(
        "http.datatype.null-for-number",
        "null is no element.",
        OIP + ", Tensor Data",
        partial(_wrong_kind, "INT64", None),
    ),
    Check(
        "http.datatype.fraction-for-integer",
        f"1.5 is no INT32 ({_COERCED}).",
        OIP + ", Tensor Data",
        partial(_wrong_kind, "INT32", 1.5),
        Severity.RECOMMENDED,
    ),
    Check(
        "http.datatype.nan-sent",
        "NaN and Infinity are no JSON.",
        JSON + ", 6",
        _not_a_number_sent,
        Severity.RECOMMENDED,
    ),
    Check(
        "http.datatype.nan-answered",
        "An answer with NaN in it is JSON, or an error.",
        JSON + ", 6",
        _not_a_number_answered,
    ),
    Check(
        "http.datatype.bytes-no-text",
        "BYTES that are no UTF-8 make no broken JSON.",
        JSON + ", 8.1",
        _text_that_is_none,
        Severity.EXTENSION,
        "binary_tensor_data",
    ),
)
