"""What Locust's users are told of the generator's requests."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from loadtests.generator.columns import Columns
from loadtests.locusts.engine import FULL, Engine, of_worker
from loadtests.running.fleet import Load
from loadtests.running.plan import part_of
from loadtests.scenario.scenario import Scenario
from serving.errors import ConfigInvalid


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Of one generator that never gets an answer."""
    generator = SimpleNamespace(columns=Columns(1_000))
    made = SimpleNamespace(generators=[generator], began=time.monotonic(), running=True)
    monkeypatch.setattr("loadtests.locusts.engine.Fleet", lambda *_, **__: made)
    return made


@pytest.fixture
def scenario(tmp_path: Path) -> Scenario:
    """Of requests that can be told apart."""
    (tmp_path / "payload.jsonl").write_text("".join(f'{{"path": "/", "body": {n}}}\n' for n in range(100)))
    users = [{"name": "one", "payload": "payload.jsonl"}]
    return Scenario.model_validate({"name": "s", "users": users, "shape": [{"for_s": 1, "rate": 1}]})


def test_who_has_no_answer_at_the_end_is_told_too(fleet: SimpleNamespace, scenario: Scenario, tmp_path: Path) -> None:
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


def test_workers_ask_for_other_keys_at_other_moments_and_the_first_as_who_is_alone(
    fleet: SimpleNamespace, scenario: Scenario, tmp_path: Path
) -> None:
    workers = [of_worker(scenario, index) for index in range(3)]
    assert workers[0] == scenario
    asked = {tuple(ask.request for ask in part_of(one, tmp_path, 0, 1, cycle=True).asks) for one in workers}
    assert len(asked) == 3
    engines = [Engine(Load(one, tmp_path, ("127.0.0.1", 9))) for one in workers]
    assert len({engine.seed for engine in engines}) == 3


def test_a_test_that_outlasts_a_generator_s_room_is_told(
    fleet: SimpleNamespace, scenario: Scenario, tmp_path: Path
) -> None:
    fleet.accounts = list
    engine = Engine(Load(scenario, tmp_path, ("127.0.0.1", 9)))
    engine.offer(100)
    assert (engine.full, FULL in engine.check().problems) == (False, False)
    engine._offered_until = 0.0
    engine.offer(100_000)
    assert (engine.full, FULL in engine.check().problems) == (True, True)


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
