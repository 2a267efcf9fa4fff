"""What Locust's users are told of the generator's requests."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from loadtests.generator.columns import Columns
from loadtests.locusts.engine import Engine
from loadtests.running.fleet import Load
from loadtests.scenario.scenario import Scenario
from serving.errors import ConfigInvalid


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Of one generator that never gets an answer."""
    generator = SimpleNamespace(columns=Columns(1_000))
    made = SimpleNamespace(generators=[generator], began=time.monotonic(), running=True)
    monkeypatch.setattr("loadtests.locusts.engine.Fleet", lambda *_, **__: made)
    return made


def test_who_has_no_answer_at_the_end_is_told_too(fleet: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "payload.jsonl").write_text('{"path": "/", "body": 1}\n')
    users = [{"name": "one", "payload": "payload.jsonl"}]
    scenario = Scenario.model_validate({"name": "s", "users": users, "shape": [{"for_s": 1, "rate": 1}]})
    engine = Engine(Load(scenario, tmp_path, ("127.0.0.1", 9)))
    engine.offer(100)
    columns = fleet.generators[0].columns
    columns.reached = columns.count
    assert list(engine.ended()) == []
    fleet.running = False
    told = list(engine.ended())
    assert len(told) == columns.count > 0
    assert {one.problem for one in told} == {"unanswered"}
    assert list(engine.ended()) == []


def test_a_reference_is_refused_since_nothing_is_held_against_it(tmp_path: Path) -> None:
    scenario = Scenario.model_validate(
        {
            "name": "s",
            "users": [{"name": "one", "payload": "payload.jsonl"}],
            "shape": [{"for_s": 1, "rate": 1}],
            "reference": {"result": "old.json", "p99": 1.2},
        }
    )
    with pytest.raises(ConfigInvalid, match="reference: Locust holds nothing against an earlier result"):
        Engine(Load(scenario, tmp_path, ("127.0.0.1", 9)))
