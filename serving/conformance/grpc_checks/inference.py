"""Inference over gRPC: raw and typed contents in, right values out, the same as over HTTP."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

from serving.conformance.check import Check, Failed, Severity, Skipped, expect
from serving.conformance.datatypes import DATATYPES, NO_TEXT, to_bytes
from serving.conformance.grpc_client import GrpcFailed
from serving.conformance.grpc_message import FIELDS, outputs_of, parameters, raw_request, typed_request, wanted
from serving.conformance.http_checks.sources import GRPC, OIP_GRPC, SCHEDULE, TRITON_GRPC, TRITONCLIENT
from serving.conformance.server import Server
from serving.conformance.tensors import Tensor, made, same
from serving.protocol.open_inference import ModelInferRequest, ModelInferResponse, ModelStreamInferResponse

_CALLERS, _EACH = 8, 4
# Few rows, since servers bound those too.
_LARGE = 1536 * 1024


def infer(server: Server, request: ModelInferRequest) -> ModelInferResponse:
    """One inference that must be answered.

    Raises:
        Failed: it ended with another status than OK.
    """
    try:
        return server.rpc().call("ModelInfer", request, ModelInferResponse)
    except GrpcFailed as failed:
        raise Failed(f"answered {failed}") from failed


def _raw(server: Server) -> None:
    model = server.any_model()
    inputs = model.telling_inputs()
    model.check(inputs, outputs_of(infer(server, raw_request(model.name, inputs))))


def _typed_contents(server: Server) -> None:
    model = server.any_model()
    inputs = model.telling_inputs()
    model.check(inputs, outputs_of(infer(server, typed_request(model.name, inputs))))


def _raw_out(server: Server) -> None:
    model = server.any_model()
    answer = infer(server, raw_request(model.name, model.telling_inputs()))
    count = len(answer.raw_output_contents)
    expect(count == len(answer.outputs), f"{len(answer.outputs)} outputs have {count} raw contents")


def _model_name(server: Server) -> None:
    model = server.any_model()
    name = infer(server, raw_request(model.name, model.telling_inputs())).model_name
    expect(name == model.name, f"`model_name` must be {model.name!r}, got {name!r}")


def _id(server: Server) -> None:
    model = server.any_model()
    for given in ("42", "\u00e4 \u6f22 \U0001f600"):
        got = infer(server, raw_request(model.name, model.telling_inputs(), id=given)).id
        expect(got == given, f"`id` must come back as {given!r}, got {got!r}")


def _versioned(server: Server) -> None:
    model, version = server.versioned_model()
    inputs = model.telling_inputs()
    answer = infer(server, raw_request(model.name, inputs, model_version=version))
    model.check(inputs, outputs_of(answer))
    expect(answer.model_version in ("", version), f"version {version} was asked, {answer.model_version!r} answered")


def _several(server: Server) -> None:
    model = server.several_inputs()
    for inputs in (model.telling_inputs(), model.telling_inputs()[::-1]):
        model.check(inputs, outputs_of(infer(server, raw_request(model.name, inputs))))
        model.check(inputs, outputs_of(infer(server, typed_request(model.name, inputs))))


def _scalar(server: Server) -> None:
    model = server.known_model("oip-scalar")
    inputs = model.telling_inputs()
    model.check(inputs, outputs_of(infer(server, raw_request(model.name, inputs))))


def _only(server: Server) -> None:
    model = server.several_outputs()
    for spec in model.outputs:
        request = raw_request(model.name, model.telling_inputs(), outputs=wanted(spec.name))
        got = outputs_of(infer(server, request))
        expect(set(got) == {spec.name}, f"only {spec.name!r} was requested, got {sorted(got)}")


def _order(server: Server) -> None:
    model = server.several_outputs()
    names = [spec.name for spec in model.outputs][::-1]
    request = raw_request(model.name, model.telling_inputs(), outputs=wanted(*names))
    got = list(outputs_of(infer(server, request)))
    expect(got == names, f"{names} were requested in this order, got {got}")


def _rows_alone(server: Server) -> None:
    model = server.row_model()
    inputs = model.telling_inputs(rows=5)
    together = outputs_of(infer(server, raw_request(model.name, inputs)))
    for row in range(5):
        alone = outputs_of(infer(server, raw_request(model.name, [one.row(row) for one in inputs])))
        for name, tensor in alone.items():
            differs = same(together[name].row(row), tensor)
            expect(not differs, f"row {row} of 5 asked alone: {differs}")


def _at_once(server: Server) -> None:
    model = server.row_model()

    def call(caller: int) -> str:
        try:
            for turn in range(_EACH):
                inputs = model.telling_inputs(start=1 + 31 * (caller * _EACH + turn))
                model.check(inputs, outputs_of(infer(server, raw_request(model.name, inputs))))
        except Failed as failed:
            return str(failed)
        return ""

    with ThreadPoolExecutor(_CALLERS) as pool:
        wrong = [said for said in pool.map(call, range(_CALLERS)) if said]
    expect(not wrong, f"{len(wrong)} of {_CALLERS} callers at once were answered wrong: {wrong[:1]}")


def _same_as_http(server: Server) -> None:
    model = server.any_model()
    inputs = model.telling_inputs()
    by_http = server.infer_json(model, inputs)
    by_grpc = outputs_of(infer(server, raw_request(model.name, inputs)))
    for name in (spec.name for spec in model.outputs):
        both = name in by_http and name in by_grpc
        expect(both, f"HTTP has the outputs {sorted(by_http)}, gRPC {sorted(by_grpc)}")
        equal = to_bytes(by_http[name].values) == to_bytes(by_grpc[name].values)
        expect(equal, f"{name!r} is {by_http[name].values[:8]} over HTTP, {by_grpc[name].values[:8]} over gRPC")


def _large(server: Server) -> None:
    model = server.known_model("oip-open")
    values = DATATYPES["FP32"].array([1.5]).repeat(_LARGE)
    inputs = [Tensor("x", "FP32", (1, _LARGE), values)]
    model.check(inputs, outputs_of(infer(server, raw_request(model.name, inputs))))


def _parameters(server: Server) -> None:
    model = server.any_model()
    inputs = model.telling_inputs()
    given = parameters(priority=1, timeout=5_000_000)
    model.check(inputs, outputs_of(infer(server, raw_request(model.name, inputs, parameters=given))))


def _left(server: Server) -> None:
    model = server.any_model()
    inputs = model.telling_inputs()
    for number in range(8):
        # Some before the server has them, some while it answers.
        server.rpc().leave("ModelInfer", raw_request(model.name, inputs, id="left"), 0.005 * (number % 2))
    model.check(inputs, outputs_of(infer(server, raw_request(model.name, inputs))))


def _stream(server: Server) -> None:
    model = server.any_model()
    all_inputs = [model.telling_inputs(start=number) for number in range(3)]
    requests = [raw_request(model.name, one, id=str(number)) for number, one in enumerate(all_inputs)]
    try:
        answers = server.rpc().stream("ModelStreamInfer", requests, ModelStreamInferResponse)
    except GrpcFailed as failed:
        if failed.code == "UNIMPLEMENTED":
            raise Skipped("ModelStreamInfer is not served") from failed
        raise Failed(f"answered {failed}") from failed
    expect(len(answers) == len(requests), f"{len(requests)} requests have {len(answers)} answers")
    for answer in answers:
        expect(not answer.error_message, f"an error came: {answer.error_message}")
        number = answer.infer_response.id
        expect(number in ("0", "1", "2"), f"an answer's id is {number!r}")
        model.check(all_inputs[int(number)], outputs_of(answer.infer_response))


def _raw_bits(datatype: str, server: Server) -> None:
    model = server.identity_model(datatype)
    inputs = [Tensor("x", datatype, (1, 4), DATATYPES[datatype].bits())]
    got = outputs_of(infer(server, raw_request(model.name, inputs)))
    model.check(inputs, got)
    expect(to_bytes(got["y"].values) == to_bytes(inputs[0].values), f"{datatype} came back with other bits")


def _no_text(server: Server) -> None:
    model = server.identity_model("BYTES")
    inputs = [Tensor("x", "BYTES", (1, 4), DATATYPES["BYTES"].array(list(NO_TEXT)))]
    try:
        answer = server.rpc().call("ModelInfer", raw_request(model.name, inputs), ModelInferResponse)
    except GrpcFailed as failed:
        expect(
            failed.code == "INVALID_ARGUMENT", f"bytes that are no text are {failed.code}: neither right nor refused"
        )
        return
    model.check(inputs, outputs_of(answer))


def _typed(datatype: str, server: Server) -> None:
    model = server.identity_model(datatype)
    inputs = [made("x", datatype, (1, 4), DATATYPES[datatype].telling())]
    model.check(inputs, outputs_of(infer(server, typed_request(model.name, inputs))))


_RECOMMENDED = Severity.RECOMMENDED
CHECKS = (
    Check("grpc.infer.raw", "Raw contents are computed.", OIP_GRPC + ", Tensor Data", _raw),
    Check("grpc.infer.typed", "Typed contents are computed.", OIP_GRPC + ", Tensor Data", _typed_contents),
    Check(
        "grpc.infer.raw-out",
        "Raw contents are answered raw: tritonclient reads nothing else.",
        TRITONCLIENT,
        _raw_out,
        _RECOMMENDED,
    ),
    Check("grpc.infer.model-name", "The answer names the model.", OIP_GRPC, _model_name),
    Check("grpc.infer.id", "The request's `id` comes back unchanged.", OIP_GRPC, _id),
    Check("grpc.infer.versioned", "A listed version can be asked, and answers.", OIP_GRPC, _versioned),
    Check("grpc.infer.several-inputs", "Several inputs go by name, in whatever order.", OIP_GRPC, _several),
    Check("grpc.infer.scalar", "A tensor without dimensions is one element.", OIP_GRPC, _scalar),
    Check("grpc.infer.rows-alone", "A row among others is answered as it is alone.", OIP_GRPC, _rows_alone),
    Check("grpc.infer.at-once", "Callers at once each get the answer to their own input.", OIP_GRPC, _at_once),
    Check("grpc.infer.same", "HTTP and gRPC have the same answer.", OIP_GRPC, _same_as_http),
    Check("grpc.infer.large", "6 MB go in and out.", "clients: gRPC's default ends at 4 MB", _large, _RECOMMENDED),
    Check("grpc.infer.left", "After calls that were left the next one is answered right.", GRPC, _left),
    Check("grpc.infer.stream", "Each request of a stream has its answer.", TRITON_GRPC, _stream, _RECOMMENDED),
    Check(
        "grpc.infer.parameters",
        "`priority` and `timeout` are taken.",
        SCHEDULE,
        _parameters,
        Severity.EXTENSION,
        "schedule_policy",
    ),
    Check("grpc.infer.no-text", "BYTES that are no text come back as they were, or are refused.", OIP_GRPC, _no_text),
    Check("grpc.outputs.only", "Only the requested outputs are answered.", OIP_GRPC, _only),
    Check("grpc.outputs.order", "They come in the order of the request.", TRITONCLIENT, _order, _RECOMMENDED),
    *(
        Check(f"grpc.bits.{name.lower()}", f"{name} raw: every bit comes back.", OIP_GRPC, partial(_raw_bits, name))
        for name in DATATYPES
    ),
    *(
        Check(
            f"grpc.typed.{name.lower()}",
            f"{name} typed: the extremes come back.",
            OIP_GRPC,
            partial(_typed, name),
        )
        for name in FIELDS
    ),
)
