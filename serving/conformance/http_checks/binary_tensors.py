"""The binary tensor extension: data as bytes behind the JSON, in requests and in answers."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from functools import partial

from serving.conformance.check import Check, Severity, Skipped, Try, expect
from serving.conformance.datatypes import DATATYPES, NO_TEXT, to_bytes
from serving.conformance.exchange import Answer
from serving.conformance.http_checks.sources import BINARY, TRITONCLIENT
from serving.conformance.infer_message import (
    BINARY_TYPE,
    HEADER_LENGTH,
    binary_body,
    is_binary,
    json_body,
    outputs_of,
    parted,
)
from serving.conformance.server import Server
from serving.conformance.tensors import Tensor, made

_OK = 200
_CLIENT_ERROR, _SERVER_ERROR = 400, 500
_EXTENSION = "binary_tensor_data"


def _in(server: Server) -> None:
    model = server.any_model()
    inputs = model.telling_inputs()
    model.check(inputs, outputs_of(server.infer_binary(model, inputs)))


def _in_no_content_type(server: Server) -> None:
    model = server.any_model()
    inputs = model.telling_inputs()
    body, headers = binary_body(inputs)
    bare = {HEADER_LENGTH: headers[HEADER_LENGTH]}
    model.check(inputs, outputs_of(server.infer(model, body, bare)))


def _in_several(server: Server) -> None:
    model = server.several_inputs()
    for inputs in (model.telling_inputs(), model.telling_inputs()[::-1]):
        model.check(inputs, outputs_of(server.infer_binary(model, inputs)))


def _in_mixed(server: Server) -> None:
    model = server.several_inputs()
    inputs = model.telling_inputs()
    head, data = inputs[-1].as_binary()
    header = json.dumps({"inputs": [*(one.as_json() for one in inputs[:-1]), head]}).encode()
    answer = server.infer(model, header + data, {**BINARY_TYPE, HEADER_LENGTH: str(len(header))})
    model.check(inputs, outputs_of(answer))


def _json_with_header(server: Server) -> None:
    model = server.any_model()
    inputs = model.telling_inputs()
    body = json_body(inputs)
    answer = server.infer(model, body, {"content-type": "application/json", HEADER_LENGTH: str(len(body))})
    model.check(inputs, outputs_of(answer))


def _out_flag(server: Server) -> None:
    model = server.any_model()
    inputs = model.telling_inputs()
    name = model.outputs[0].name
    answer = server.infer(model, json_body(inputs, outputs=[_wanted(name, binary=True)]))
    model.check(inputs, outputs_of(answer)) if len(model.outputs) == 1 else outputs_of(answer)
    expect(is_binary(parted(answer)[0], name), f"{name!r} was requested as binary data and came in JSON")


def _out_all(server: Server) -> None:
    model = server.any_model()
    inputs = model.telling_inputs()
    answer = server.infer(model, json_body(inputs, parameters={"binary_data_output": True}))
    model.check(inputs, outputs_of(answer))
    document = parted(answer)[0]
    for spec in model.outputs:
        expect(is_binary(document, spec.name), f"binary_data_output was true and {spec.name!r} came in JSON")


def _flag_false(server: Server) -> None:
    _overridden(server, everywhere=True, here=False)


def _flag_true(server: Server) -> None:
    _overridden(server, everywhere=False, here=True)


def _overridden(server: Server, *, everywhere: bool, here: bool) -> None:
    model = server.any_model()
    name = model.outputs[0].name
    parameters = {"binary_data_output": everywhere}
    body = json_body(model.telling_inputs(), parameters=parameters, outputs=[_wanted(name, binary=here)])
    answer = server.infer(model, body)
    outputs_of(answer)
    said = f"binary_data_output {everywhere} and binary_data {here}"
    expect(
        is_binary(parted(answer)[0], name) is here, f"{said}: {name!r} came {'in JSON' if here else 'as binary data'}"
    )


def _listed_follows(server: Server) -> None:
    model = server.any_model()
    name = model.outputs[0].name
    body = json_body(model.telling_inputs(), parameters={"binary_data_output": True}, outputs=[{"name": name}])
    answer = server.infer(model, body)
    outputs_of(answer)
    expect(is_binary(parted(answer)[0], name), f"binary_data_output was true, {name!r} said nothing and came in JSON")


def _out_mixed(server: Server) -> None:
    model = server.several_outputs()
    inputs = model.telling_inputs()
    first, last = model.outputs[0].name, model.outputs[-1].name
    wanted = [_wanted(first, binary=False), _wanted(last, binary=True)]
    answer = server.infer(model, json_body(inputs, outputs=wanted))
    got = outputs_of(answer)
    expect(set(got) == {first, last}, f"{first!r} and {last!r} were requested, got {sorted(got)}")
    document = parted(answer)[0]
    expect(not is_binary(document, first), f"{first!r} was requested in JSON and came as binary data")
    expect(is_binary(document, last), f"{last!r} was requested as binary data and came in JSON")


def _out_form(server: Server) -> None:
    document, rest = parted(_binary_answer(server))
    sizes = 0
    for entry in document.get("outputs") or []:
        expect("data" not in entry, f"{entry.get('name')!r} has data in JSON beside its binary data")
        sizes += (entry.get("parameters") or {}).get("binary_data_size", 0)
    expect(sizes == len(rest), f"the outputs announce {sizes} bytes, {len(rest)} follow")


def _out_headers(server: Server) -> None:
    length = _binary_answer(server).header(HEADER_LENGTH)
    expect(length is not None, "an answer with binary data has no Inference-Header-Content-Length")


def _out_content_type(server: Server) -> None:
    given = _binary_answer(server).header("content-type")
    expect(given == "application/octet-stream", f"an answer with binary data is called {given!r}")


def _binary_answer(server: Server) -> Answer:
    """An answer with binary data; that it comes at all has a check of its own."""
    model = server.any_model()
    answer = server.infer(model, json_body(model.telling_inputs(), parameters={"binary_data_output": True}))
    if b"binary_data_size" not in answer.body:
        raise Skipped("no output came as binary data")
    return answer


def _no_header_in_json(server: Server) -> None:
    model = server.any_model()
    answer = server.infer(model, json_body(model.telling_inputs()))
    expect(answer.header(HEADER_LENGTH) is None, "an answer in JSON alone has an Inference-Header-Content-Length")


def _raw(server: Server) -> None:
    model = server.identity_model("FP32")
    row = model.telling_inputs(rows=1)
    answer = _sent_raw(server, model.name, to_bytes(row[0].values))
    model.check(row, outputs_of(answer))


def _raw_binary_out(server: Server) -> None:
    model = server.identity_model("FP32")
    answer = _sent_raw(server, model.name, to_bytes(model.telling_inputs(rows=1)[0].values))
    outputs_of(answer)
    expect(is_binary(parted(answer)[0], "y"), "the answer to a raw request is not binary")


def _raw_bytes(server: Server) -> None:
    model = server.known_model("oip-bytes-one")
    element = "with NUL \0 and \u6f22".encode()
    # The element alone, as Triton's qa/L0_http has it: no length before it.
    answer = _sent_raw(server, model.name, element)
    model.check([made("x", "BYTES", (1,), [element])], outputs_of(answer))


def _raw_wrong_size(server: Server) -> None:
    model = server.identity_model("FP32")
    answer = _sent_raw(server, model.name, b"\0" * 13)
    expect(answer.status >= _CLIENT_ERROR, f"13 bytes of raw FP32 are answered {answer.status}")


def _zero_size(server: Server) -> None:
    model = server.identity_model("FP32")
    empty = [made("x", "FP32", (0, 4), [])]
    answer = server.infer_binary(model, empty, parameters={"binary_data_output": True})
    expect(answer.status < _SERVER_ERROR, f"a tensor of no elements is answered {answer.status}")
    if answer.status == _OK:
        model.check(empty, outputs_of(answer))
        expect(is_binary(parted(answer)[0], "y"), "an output of no elements has no binary_data_size: 0")


def _bits(datatype: str, server: Server) -> None:
    model = server.identity_model(datatype)
    inputs = [Tensor("x", datatype, (1, 4), DATATYPES[datatype].bits())]
    answer = server.infer_binary(model, inputs, parameters={"binary_data_output": True})
    got = outputs_of(answer)
    model.check(inputs, got)
    # Elements may be equal and their bits not: the sign of zero.
    expect(to_bytes(got["y"].values) == to_bytes(inputs[0].values), f"{datatype} came back with other bits")


def _no_text(server: Server) -> None:
    model = server.identity_model("BYTES")
    inputs = [Tensor("x", "BYTES", (1, 4), DATATYPES["BYTES"].array(list(NO_TEXT)))]
    answer = server.infer_binary(model, inputs, parameters={"binary_data_output": True})
    if answer.status == _OK:
        model.check(inputs, outputs_of(answer))
        return
    refused = _CLIENT_ERROR <= answer.status < _SERVER_ERROR
    expect(refused, f"bytes that are no text are answered {answer.status}, neither right nor refused")


def _length_beyond(server: Server) -> None:
    _refused_with(server, lambda body, _length: (body, str(len(body) + 1)), "a header length beyond the body")


def _length_nonsense(server: Server) -> None:
    for given in ("-1", "x", "1e2"):
        _refused_with(server, _with_length(given), f"a header length of {given!r}")


def _with_length(given: str) -> Callable[[bytes, str], tuple[bytes, str]]:
    return lambda body, _length: (body, given)


def _left_over(server: Server) -> None:
    _refused_with(server, lambda body, length: (body + b"\0" * 4, length), "four bytes left over")


def _missing(server: Server) -> None:
    _refused_with(server, lambda body, length: (body[:-4], length), "four bytes missing")


def _size_and_shape(server: Server) -> None:
    model = server.identity_model("FP32")
    tensor = model.telling_inputs()[0]
    short = Tensor("x", "FP32", tensor.shape, tensor.values[:-1])
    answer = server.infer_binary(model, [short])
    expect(answer.status >= _CLIENT_ERROR, f"seven elements for [2, 4] are answered {answer.status}")


def _element_beyond(server: Server) -> None:
    model = server.identity_model("BYTES")
    data = struct.pack("<I", 1) * 3 + struct.pack("<I", 0xFFFFFFFF)
    head = {"name": "x", "datatype": "BYTES", "shape": [1, 4], "parameters": {"binary_data_size": len(data)}}
    header = json.dumps({"inputs": [head]}).encode()
    answer = server.infer(model, header + data, {**BINARY_TYPE, HEADER_LENGTH: str(len(header))})
    expect(answer.status >= _CLIENT_ERROR, f"an element that reaches beyond its data is answered {answer.status}")


def _both(server: Server) -> None:
    model = server.any_model()
    tensor = model.telling_inputs()[0]
    head, data = tensor.as_binary()
    header = json.dumps({"inputs": [{**tensor.as_json(), **head}]}).encode()
    answer = server.infer(model, header + data, {**BINARY_TYPE, HEADER_LENGTH: str(len(header))})
    expect(answer.status >= _CLIENT_ERROR, f"data in JSON and binary data at once are answered {answer.status}")


def _same_as_json(server: Server) -> None:
    model = server.any_model()
    inputs = model.telling_inputs(rows=3) if model.rows else model.telling_inputs()
    by_json = server.infer_json(model, inputs)
    by_binary = outputs_of(server.infer_binary(model, inputs, parameters={"binary_data_output": True}))
    for name in (spec.name for spec in model.outputs):
        both = name in by_json and name in by_binary
        expect(both, f"JSON has the outputs {sorted(by_json)}, binary data {sorted(by_binary)}")
        tensor = by_json[name]
        equal = to_bytes(tensor.values) == to_bytes(by_binary[name].values)
        expect(
            equal, f"{name!r} is {tensor.values[:8].tolist()} in JSON, {by_binary[name].values[:8].tolist()} as bytes"
        )


def _wanted(name: str, *, binary: bool) -> dict[str, object]:
    return {"name": name, "parameters": {"binary_data": binary}}


def _sent_raw(server: Server, model: str, data: bytes) -> Answer:
    return server.post(f"/v2/models/{model}/infer", data, {**BINARY_TYPE, HEADER_LENGTH: "0"})


def _refused_with(server: Server, spoil: Callable[[bytes, str], tuple[bytes, str]], what: str) -> None:
    model = server.any_model()
    body, headers = binary_body(model.telling_inputs())
    spoiled, length = spoil(body, headers[HEADER_LENGTH])
    answer = server.infer(model, spoiled, {**BINARY_TYPE, HEADER_LENGTH: length})
    expect(answer.status >= _CLIENT_ERROR, f"{what} is answered {answer.status}")


def _check(name: str, promise: str, run: Try, source: str = BINARY, severity: Severity = Severity.EXTENSION) -> Check:
    return Check(f"http.binary.{name}", promise, source, run, severity, _EXTENSION)


_RECOMMENDED = Severity.RECOMMENDED
CHECKS = (
    _check("in", "Input data behind the JSON is computed.", _in),
    _check(
        "in.no-content-type",
        "So it is without a content type, as tritonclient.http sends it.",
        _in_no_content_type,
        TRITONCLIENT,
        _RECOMMENDED,
    ),
    _check("in.several", "Data of several inputs follows in the order of `inputs`.", _in_several),
    _check("in.mixed", "One input in JSON and another as binary data go together.", _in_mixed),
    _check("in.json-with-length", "A header length may go with a request that is all JSON.", _json_with_header),
    _check("out.flag", "`binary_data` of an output makes it binary.", _out_flag),
    _check("out.all", "`binary_data_output` makes all outputs binary.", _out_all),
    _check("out.flag-false", "`binary_data` false overrides `binary_data_output` true.", _flag_false),
    _check("out.flag-true", "`binary_data` true overrides `binary_data_output` false.", _flag_true),
    _check(
        "out.listed",
        "A listed output that says nothing follows `binary_data_output` (documented; Triton itself answers JSON).",
        _listed_follows,
        BINARY,
        _RECOMMENDED,
    ),
    _check("out.mixed", "One output in JSON and another as binary data go together.", _out_mixed),
    _check("out.form", "Outputs announce their sizes, which add up to what follows, and have no `data`.", _out_form),
    _check("out.headers", "Such an answer tells the length of its JSON.", _out_headers),
    _check(
        "out.content-type",
        "Such an answer is called application/octet-stream.",
        _out_content_type,
        BINARY,
        _RECOMMENDED,
    ),
    _check("out.json-plain", "An answer in JSON alone tells no such length.", _no_header_in_json),
    _check("raw", "A header length of 0: the body is the only input, one row of it.", _raw),
    _check("raw.binary-out", "Its outputs are binary.", _raw_binary_out),
    _check("raw.bytes", "So for one BYTES element.", _raw_bytes),
    _check("raw.wrong-size", "A raw body that is no whole tensor is an error.", _raw_wrong_size),
    _check("zero-size", "A tensor of no elements has a binary_data_size of 0.", _zero_size, TRITONCLIENT, _RECOMMENDED),
    _check("no-text", "BYTES that are no text come back as they were, or are refused; never bent.", _no_text),
    _check("length-beyond", "A header length beyond the body is an error.", _length_beyond),
    _check("length-nonsense", "A header length that is no number is an error.", _length_nonsense),
    _check("left-over", "Bytes left over are an error.", _left_over, "Triton, http_server.cc", _RECOMMENDED),
    _check("missing", "Missing bytes are an error.", _missing),
    _check("size-and-shape", "A size that is not the shape's is an error.", _size_and_shape),
    _check("element-beyond", "A BYTES element that reaches beyond its data is an error.", _element_beyond),
    _check("both", "Data in JSON and as bytes at once is an error.", _both, BINARY, _RECOMMENDED),
    _check("same-as-json", "JSON and binary data have the same answer.", _same_as_json),
    *(
        _check(f"bits.{name.lower()}", f"{name} as binary data: every bit comes back.", partial(_bits, name))
        for name in DATATYPES
    ),
)
