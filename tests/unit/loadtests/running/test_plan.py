"""The load of a scenario, drawn beforehand and shared by generators."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from loadtests.running.plan import due_times, part_of, processes_of, seconds_of
from loadtests.scenario.reading import find, read
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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has 0 times"),
        ("1 2\n", "a line has 2 numbers"),
        ("1\nnan\n", "has 2 times"),
        ("0\n1e9\n", "within 86400 s"),
        ("0\n1_0\n", "one time in seconds on each line"),
    ],
)
def test_times_that_cannot_be_replayed_are_told(folder: Path, text: str, said: str) -> None:
    (folder / "times.txt").write_text(text)
    with pytest.raises(ConfigInvalid, match=said):
        due_times(scenario(shape=[], generator={"replay": "times.txt"}), folder)


def test_recorded_times_are_bounded_in_rate_as_shapes_are(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadtests.running.plan.MOST_RATE", 3)
    (folder / "times.txt").write_text("0\n0.1\n0.2\n0.3\n5\n")
    with pytest.raises(ConfigInvalid, match="4 times within a second; permitted: at the most 3"):
        due_times(scenario(shape=[], generator={"replay": "times.txt"}), folder)


def test_a_cold_cache_is_asked_for_no_flight_twice(folder: Path) -> None:
    cold = read(find("cold-cache"))
    # Without answers, which a model would have to be asked for.
    plain = [user.model_copy(update={"check": 0.0}) for user in cold.users]
    asks = part_of(cold.model_copy(update={"users": plain}), folder, 0, 1).asks
    assert len({id(ask) for ask in asks}) == len(asks) > 1_500


def test_more_generators_share_a_higher_rate_up_to_the_cores(folder: Path) -> None:
    fast = scenario(shape=[{"for_s": 5, "rate": 100, "to": 50_000}])
    assert processes_of(scenario(), folder, 8) == 1
    assert processes_of(fast, folder, 8) == 5
    assert processes_of(fast, folder, 2) == 2
    assert processes_of(scenario(generator={"processes": 3}), folder, 2) == 3


def test_recorded_times_have_as_many_generators_as_their_busiest_second_needs(folder: Path) -> None:
    times = [*np.linspace(0, 1, 100), *np.linspace(5, 5.9, 20_000), 60.0]
    np.savetxt(folder / "times.txt", times)
    replayed = scenario(shape=[], generator={"replay": "times.txt"})
    assert processes_of(replayed, folder, 8) == 2
