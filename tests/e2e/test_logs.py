"""What a session writes down: JSON for machines, as much of it as is asked for while it runs."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.doubling import save_models
from tests.e2e.parts import PATIENCE_S
from tests.e2e.sluice_up import PROGRAM, SluiceUp, environment

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SluiceUp]:
    models = save_models(tmp_path_factory.mktemp("models"))
    session = SluiceUp("--models", str(models), SLUICE_LOGS__FORMAT="json", SLUICE_LOGS__ACCESS_SAMPLE="0")
    try:
        session.wait_for_log('"event": "ready"')
        session.port = int(str(session.registered()["http_port"]))
        yield session
        session.close()
    finally:
        session.destroy()


def lines(session: SluiceUp) -> list[dict[str, Any]]:
    """Every line that was written to its end."""
    return [json.loads(line) for line in session.log().splitlines(keepends=True) if line.endswith("\n")]


def ask(session: SluiceUp, values: list[float], model: str = "doubler") -> int:
    asked = {"inputs": [{"name": "x", "shape": [1, len(values)], "datatype": "FP32", "data": values}]}
    headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-00", "x-request-id": "r-17"}
    with session.connect() as connection:
        return connection.post(f"/v2/models/{model}/infer", asked, headers).status


def writes(session: SluiceUp) -> bool:
    """Whether a mistake has a line, which comes a moment after its answer."""
    before = len(lines(session))
    assert ask(session, [1.0]) == 400
    time.sleep(0.2)
    return len(lines(session)) > before


def command(session: SluiceUp, *arguments: str) -> subprocess.CompletedProcess[str]:
    run_dir = {"XDG_RUNTIME_DIR": str(session.folder / "run")}
    whole = [*PROGRAM, "logs", *arguments, "--http-port", str(session.port)]
    return subprocess.run(whole, env=environment(**run_dir), capture_output=True, text=True, timeout=60, check=False)


def test_each_event_is_a_line_of_json_that_says_when_who_and_what(session: SluiceUp) -> None:
    found = lines(session)
    assert all(line.keys() >= {"time", "level", "logger", "event"} for line in found)
    (ready,) = [line for line in found if line["event"] == "ready"]
    assert ready["http_port"] == session.port


def test_an_error_has_a_line_that_its_caller_can_be_told_of_and_other_answers_their_share(session: SluiceUp) -> None:
    assert ask(session, [1.0, 2.0, 3.0, 4.0]) == 200
    assert ask(session, [1.0, 2.0]) == 400
    assert ask(session, [1.0], "nothing") == 404
    # Lines are written a moment after the answers.
    session.wait_for_log('"unknown_model"')
    # The sample of `divides` fails: that has a line too.
    written = [line for line in lines(session) if line["logger"] == "serving.access" and "request_id" in line]
    assert [(line["outcome"], line["request_id"], line["trace_id"]) for line in written] == [
        ("bad_request", "r-17", TRACE),
        ("unknown_model", "r-17", TRACE),
    ]
    assert (written[0]["model"], written[0]["version"]) == ("doubler", 1)


def test_how_much_is_written_changes_while_it_runs(session: SluiceUp) -> None:
    assert command(session, "level", "serving.access", "error").returncode == 0
    assert "serving.access" in command(session, "show").stdout
    until = time.monotonic() + PATIENCE_S
    # Workers are told a moment later.
    while writes(session):
        assert time.monotonic() < until, "it goes on writing"
    taken_back = command(session, "level", "serving.access", "default")
    assert taken_back.stdout == "serving.access writes as the others do\n"
    while not writes(session):
        assert time.monotonic() < until, "it does not write again"


def test_a_level_or_a_logger_that_does_not_exist_is_named(session: SluiceUp) -> None:
    wrong = command(session, "level", "two words", "debug")
    assert wrong.returncode == 1
    assert "is no logger" in wrong.stderr
    near = command(session, "level", "serving.batchin", "debug")
    assert near.returncode == 1
    assert "there is no logger 'serving.batchin'; did you mean serving.batching" in near.stderr
    assert command(session, "level", "serving", "loud").returncode == 2
