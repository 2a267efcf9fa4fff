"""Who waits for a session to become ready is told what to look at."""

from __future__ import annotations

import socket

from serving.processes.session_plan import SessionPlan
from serving.processes.waiting import reason_to_wait


def test_a_control_redis_that_does_not_answer_is_named_without_its_password() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        told = reason_to_wait(SessionPlan(models=(), engine="ray", control_url=f"redis://user:word@{address}/0"))
    assert told.startswith("the control Redis does not answer")
    assert address in told
    assert "word" not in told


def test_otherwise_models_are_being_loaded() -> None:
    for plan in (SessionPlan(models=(), engine="ray"), SessionPlan(models=(), engine="in-process", control_url="x")):
        assert reason_to_wait(plan).endswith("still being loaded")
