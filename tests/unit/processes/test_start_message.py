"""The first message to a child survives its way as JSON."""

from __future__ import annotations

import json

from serving.processes.session_plan import ServedModel, SessionPlan
from serving.processes.start_message import StartMessage, from_json, to_json

START = StartMessage(
    session="s",
    engine="ray",
    run_dir="/r",
    state_dir="/r",
    secret="quiet",
    models=(ServedModel("m", 2, "m/2/model.onnx"), ServedModel("m", 1, "m/1/model.onnx", default=False)),
    listeners={0: 7, 1: 8},
    grpc_listeners={0: 9, 1: 10},
    config={"http": {"port": 1}},
)


def test_what_the_child_reads_is_what_was_sent() -> None:
    assert from_json(json.loads(json.dumps(to_json(START)))) == START


def test_a_key_that_this_release_does_not_know_is_left_out() -> None:
    assert from_json({**json.loads(json.dumps(to_json(START))), "later": 1}) == START


def test_the_secret_is_not_shown_with_the_message() -> None:
    assert "quiet" not in repr(START)
    assert "quiet" not in repr(SessionPlan(secret="quiet"))


def test_the_models_that_answer_without_a_version_are_named_once() -> None:
    assert SessionPlan(models=START.models).default_models() == ("m",)
