"""gRPC requests that cannot be answered: each has a status that says whose mistake it was, and a text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from serving.conformance.check import Check, Severity, Skipped, expect
from serving.conformance.grpc_checks.inference import infer
from serving.conformance.grpc_client import GrpcFailed
from serving.conformance.grpc_message import outputs_of, raw_request, typed_request, wanted
from serving.conformance.http_checks.sources import GRPC, OIP_GRPC
from serving.conformance.server import Server
from serving.conformance.tensors import Tensor, made
from serving.protocol.open_inference import ModelInferRequest, ModelInferResponse

# What a caller's mistake may be called; OUT_OF_RANGE for sizes, FAILED_PRECONDITION for a model that cannot do that.
_CALLERS = ("INVALID_ARGUMENT", "NOT_FOUND", "OUT_OF_RANGE", "FAILED_PRECONDITION", "UNIMPLEMENTED")
Build = Callable[[Server], ModelInferRequest]


@dataclass(frozen=True, slots=True)
class _Case:
    """A request that is wrong in one way."""

    name: str
    promise: str
    build: Build
    severity: Severity = Severity.REQUIRED


def _good(server: Server, **fields: str) -> ModelInferRequest:
    model = server.any_model()
    return raw_request(model.name, model.telling_inputs(), **fields)


def _unknown_model(server: Server) -> ModelInferRequest:
    return raw_request("oip-no-such-model", server.any_model().telling_inputs())


def _unknown_version(server: Server) -> ModelInferRequest:
    return _good(server, model_version="987654321")


def _unknown_input(server: Server) -> ModelInferRequest:
    request = _good(server)
    request.inputs[0].name = "oip-no-such-input"
    return request


def _unknown_datatype(server: Server) -> ModelInferRequest:
    request = _good(server)
    request.inputs[0].datatype = "FP99"
    return request


def _unknown_output(server: Server) -> ModelInferRequest:
    model = server.any_model()
    return raw_request(model.name, model.telling_inputs(), outputs=wanted("oip-no-such-output"))


def _no_inputs(server: Server) -> ModelInferRequest:
    return ModelInferRequest(model_name=server.any_model().name)


def _missing_input(server: Server) -> ModelInferRequest:
    model = server.several_inputs()
    return raw_request(model.name, model.telling_inputs()[:1])


def _short_raw(server: Server) -> ModelInferRequest:
    request = _good(server)
    request.raw_input_contents[0] = request.raw_input_contents[0][:-1]
    return request


def _long_raw(server: Server) -> ModelInferRequest:
    request = _good(server)
    request.raw_input_contents[0] += b"\0" * 8
    return request


def _fewer_raw(server: Server) -> ModelInferRequest:
    model = server.several_inputs()
    request = raw_request(model.name, model.telling_inputs())
    del request.raw_input_contents[-1]
    return request


def _more_raw(server: Server) -> ModelInferRequest:
    request = _good(server)
    request.raw_input_contents.append(b"\0" * 8)
    return request


def _raw_and_typed(server: Server) -> ModelInferRequest:
    model = server.any_model()
    request = typed_request(model.name, model.telling_inputs())
    request.raw_input_contents.extend(_good(server).raw_input_contents)
    return request


def _short_typed(server: Server) -> ModelInferRequest:
    model = server.any_model()
    first = model.telling_inputs()[0]
    request = typed_request(model.name, [Tensor(first.name, first.datatype, first.shape, first.values[:-1])])
    if len(model.inputs) != 1:
        raise Skipped("no model with one input")
    return request


def _negative(server: Server) -> ModelInferRequest:
    request = _good(server)
    shape = [-size for size in request.inputs[0].shape]
    del request.inputs[0].shape[:]
    request.inputs[0].shape.extend(shape)
    return request


def _other_width(server: Server) -> ModelInferRequest:
    model = server.identity_model("FP32")
    return raw_request(model.name, [made("x", "FP32", (1, 5), [0.0] * 5)])


def _typed_range(server: Server) -> ModelInferRequest:
    model = server.identity_model("INT8")
    request = typed_request(model.name, [made("x", "INT8", (1, 4), [0, 0, 0, 0])])
    request.inputs[0].contents.int_contents[3] = 300
    return request


_RECOMMENDED = Severity.RECOMMENDED
_CASES = (
    _Case("unknown-model", "A model that is not there", _unknown_model),
    _Case("unknown-version", "A version that is not there", _unknown_version),
    _Case("unknown-input", "An input that the model does not have", _unknown_input),
    _Case("unknown-datatype", "A datatype that the protocol does not have", _unknown_datatype),
    _Case("unknown-output", "A requested output that the model does not have", _unknown_output),
    _Case("no-inputs", "A request with no input", _no_inputs),
    _Case("missing-input", "A request that leaves out a needed input", _missing_input),
    _Case("short-raw", "Raw contents that are too short", _short_raw),
    _Case("long-raw", "Raw contents that are too long", _long_raw),
    _Case("fewer-raw", "Fewer raw contents than inputs", _fewer_raw),
    _Case("more-raw", "More raw contents than inputs", _more_raw, _RECOMMENDED),
    _Case("raw-and-typed", "Raw and typed contents at once", _raw_and_typed, _RECOMMENDED),
    _Case("short-typed", "Fewer typed elements than the shape has", _short_typed),
    _Case("negative", "Negative sizes", _negative),
    _Case("other-width", "A shape that the model's does not allow", _other_width),
    _Case("typed-range", "A typed integer that its datatype does not hold", _typed_range, _RECOMMENDED),
)


def _refused(case: _Case, server: Server) -> None:
    expect(_ended(case, server) is not None, "answered OK, as if it were right")


def _callers_status(server: Server) -> None:
    wrong = {name: failed.code for name, failed in _all(server).items() if failed.code not in _CALLERS}
    expect(not wrong, f"the server takes the blame for callers' mistakes: {wrong}")


def _not_found(server: Server) -> None:
    for case in _CASES[:2]:
        failed = _ended(case, server)
        kept = failed is None or failed.code == "NOT_FOUND"
        expect(kept, f"{case.promise.lower()} is {failed.code if failed else ''}, not NOT_FOUND")


def _text(server: Server) -> None:
    silent = [name for name, failed in _all(server).items() if not failed.details.strip()]
    expect(not silent, f"no text says what was wrong with {silent}")


def _good_after_bad(server: Server) -> None:
    _all(server)
    model = server.any_model()
    inputs = model.telling_inputs()
    model.check(inputs, outputs_of(infer(server, raw_request(model.name, inputs))))


def _all(server: Server) -> dict[str, GrpcFailed]:
    server.rpc()
    found = {}
    for case in _CASES:
        try:
            failed = _ended(case, server)
        except Skipped:
            continue
        if failed is not None:
            found[case.name] = failed
    return found


def _ended(case: _Case, server: Server) -> GrpcFailed | None:
    """How it was refused, None where it was not."""
    client, request = server.rpc(), case.build(server)
    try:
        client.call("ModelInfer", request, ModelInferResponse)
    except GrpcFailed as failed:
        return failed
    return None


CHECKS = (
    *(
        Check(f"grpc.refusal.{one.name}", f"{one.promise} is an error.", OIP_GRPC, partial(_refused, one), one.severity)
        for one in _CASES
    ),
    Check("grpc.error.callers", "A caller's mistake has a caller's status.", GRPC, _callers_status, _RECOMMENDED),
    Check("grpc.error.not-found", "What is not there is NOT_FOUND.", GRPC, _not_found, _RECOMMENDED),
    Check("grpc.error.text", "A refused request is told what was wrong.", GRPC, _text),
    Check("grpc.error.good-after-bad", "A good request after all of these is answered right.", GRPC, _good_after_bad),
)
