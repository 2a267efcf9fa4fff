"""The load of a scenario, drawn beforehand and shared by generators."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from loadtests.running.plan import due_times, part_of, processes_of, seconds_of
from loadtests.scenario.scenario import Scenario
from serving.errors import ConfigInvalid

PAYLOAD = "".join(f'{{"path": "/{number}", "body": {number}, "answer": {number}}}\n' for number in range(5))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "payload.jsonl").write_text(PAYLOAD)
    return tmp_path


def scenario(**more: object) -> Scenario:
    users = [{"name": "a", "payload": "payload.jsonl", "check": 0.5}, {"name": "b", "payload": "payload.jsonl"}]
    return Scenario.model_validate({"name": "s", "users": users, "shape": [{"for_s": 5, "rate": 200}], **more})


def test_the_parts_of_all_generators_are_the_load_of_one(folder: Path) -> None:
    whole = part_of(scenario(), folder, 0, 1)
    parts = [part_of(scenario(), folder, number, 3) for number in range(3)]
    assert np.array_equal(np.sort(np.concatenate([part.due for part in parts])), whole.due)
    for number, part in enumerate(parts):
        assert np.array_equal(part.stream, whole.stream[number::3])
        assert [ask.request for ask in part.asks] == [ask.request for ask in whole.asks[number::3]]


def test_about_so_many_answers_are_compared_as_the_user_says(folder: Path) -> None:
    stream = part_of(scenario(), folder, 0, 1).stream
    assert (stream[stream < 2] == 1).mean() == pytest.approx(0.5, abs=0.1)
    assert set(stream.tolist()) == {0, 1, 2}


def test_recorded_times_are_replayed_from_zero(folder: Path) -> None:
    (folder / "times.txt").write_text("102.5\n100\n101\n")
    replayed = scenario(shape=[], generator={"replay": "times.txt"})
    assert due_times(replayed, folder).tolist() == [0, 1, 2.5]
    assert seconds_of(replayed, folder) == 3.5
    (folder / "times.txt").write_text("soon\n")
    with pytest.raises(ConfigInvalid, match="one time in seconds on each line"):
        due_times(replayed, folder)


def test_more_generators_share_a_higher_rate_up_to_the_cores() -> None:
    fast = scenario(shape=[{"for_s": 5, "rate": 100, "to": 50_000}])
    assert processes_of(scenario(), 8) == 1
    assert processes_of(fast, 8) == 5
    assert processes_of(fast, 2) == 2
    assert processes_of(scenario(generator={"processes": 3}), 2) == 3
