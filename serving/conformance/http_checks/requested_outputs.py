"""Which outputs an answer has when the request names them."""

from __future__ import annotations

from serving.conformance.check import Check, Severity, expect
from serving.conformance.http_checks.sources import OIP, TRITONCLIENT
from serving.conformance.infer_message import json_body
from serving.conformance.server import Server

_CLIENT_ERROR = 400


def _only(server: Server) -> None:
    model = server.several_outputs()
    inputs = model.telling_inputs()
    whole = server.infer_json(model, inputs)
    for spec in model.outputs:
        got = server.infer_json(model, inputs, outputs=[{"name": spec.name}])
        expect(set(got) == {spec.name}, f"only {spec.name!r} was requested, got {sorted(got)}")
        expect(len(whole[spec.name].values) == len(got[spec.name].values), f"{spec.name!r} alone has other values")


def _order(server: Server) -> None:
    model = server.several_outputs()
    names = [spec.name for spec in model.outputs]
    for wanted in (names, names[::-1]):
        got = list(server.infer_json(model, model.telling_inputs(), outputs=[{"name": name} for name in wanted]))
        expect(got == wanted, f"{wanted} were requested in this order, got {got}")


def _unknown(server: Server) -> None:
    model = server.any_model()
    answer = server.infer(model, json_body(model.telling_inputs(), outputs=[{"name": "oip-no-such-output"}]))
    expect(answer.status >= _CLIENT_ERROR, f"an output that the model does not have is answered {answer.status}")


CHECKS = (
    Check("http.outputs.only", "Only the requested outputs are answered.", OIP, _only),
    Check("http.outputs.order", "They come in the order of the request.", TRITONCLIENT, _order, Severity.RECOMMENDED),
    Check("http.outputs.unknown", "A requested output that the model does not have is an error.", OIP, _unknown),
)
