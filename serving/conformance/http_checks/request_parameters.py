"""Parameters of a request: the schedule policy's, and those that only some model knows."""

from __future__ import annotations

from serving.conformance.check import Check, Severity, expect
from serving.conformance.http_checks.sources import PARAMETERS, SCHEDULE
from serving.conformance.infer_message import json_body, outputs_of
from serving.conformance.server import Server

_OK, _CLIENT_ERROR = 200, 400


def _custom(server: Server) -> None:
    model = server.any_model()
    inputs = model.telling_inputs()
    given = {"oip_text": "a", "oip_number": 42, "oip_flag": True, "oip_fraction": 0.5}
    model.check(inputs, server.infer_json(model, inputs, parameters=given))


def _empty(server: Server) -> None:
    model = server.any_model()
    inputs = model.telling_inputs()
    model.check(inputs, server.infer_json(model, inputs, parameters={}))


def _priority(server: Server) -> None:
    model = server.any_model()
    inputs = model.telling_inputs()
    for priority in (0, 1, 2):
        model.check(inputs, server.infer_json(model, inputs, parameters={"priority": priority}))


def _long_timeout(server: Server) -> None:
    model = server.any_model()
    inputs = model.telling_inputs()
    model.check(inputs, server.infer_json(model, inputs, parameters={"timeout": 5_000_000}))


def _short_timeout(server: Server) -> None:
    model = server.any_model()
    inputs = model.telling_inputs()
    answer = server.infer(model, json_body(inputs, parameters={"timeout": 1}))
    expect(answer.status == _OK or answer.status >= _CLIENT_ERROR, f"a timeout of 1 us is answered {answer.status}")
    if answer.status == _OK:
        model.check(inputs, outputs_of(answer))


def _nonsense(server: Server) -> None:
    model = server.any_model()
    for given in ({"priority": "high"}, {"timeout": "soon"}, {"priority": -1}):
        answer = server.infer(model, json_body(model.telling_inputs(), parameters=given))
        expect(answer.status >= _CLIENT_ERROR, f"{given} is answered {answer.status}")


_POLICY = "schedule_policy"
CHECKS = (
    Check("http.parameters.empty", "`parameters` may be empty.", PARAMETERS, _empty),
    Check(
        "http.parameters.custom",
        "Parameters that only a model could know are let through.",
        PARAMETERS,
        _custom,
        Severity.EXTENSION,
        "parameters",
    ),
    Check(
        "http.parameters.priority",
        "`priority` 0, 1 and 2 are answered.",
        SCHEDULE,
        _priority,
        Severity.EXTENSION,
        _POLICY,
    ),
    Check(
        "http.parameters.timeout",
        "A `timeout` of five seconds, in microseconds, changes nothing.",
        SCHEDULE,
        _long_timeout,
        Severity.EXTENSION,
        _POLICY,
    ),
    Check(
        "http.parameters.timeout.short",
        "With a `timeout` of a microsecond the answer is right, or an error.",
        SCHEDULE,
        _short_timeout,
        Severity.EXTENSION,
        _POLICY,
    ),
    Check(
        "http.parameters.nonsense",
        "A priority or timeout that is none is an error.",
        SCHEDULE,
        _nonsense,
        Severity.RECOMMENDED,
        _POLICY,
    ),
)
