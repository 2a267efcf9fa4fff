"""The session's memory over workers that come, learn and end."""

from __future__ import annotations

from serving.batching.latency_model import Estimate
from serving.batching.learned import Learned, dump
from serving.inference import VersionKey
from serving.processes.learned_estimates import LearnedEstimates

KEY = VersionKey("m", 1)


def learned(fixed_s: float, runs: int, file: str = "a", key: VersionKey = KEY) -> Learned:
    return Learned("default", key, file, Estimate(fixed_s, 0.0, 1.5), runs)


def test_workers_estimates_count_by_their_runs() -> None:
    memory = LearnedEstimates()
    memory.told(1, [dump(learned(0.001, 300))])
    memory.told(2, [dump(learned(0.005, 100))])
    (one,) = memory.known()
    assert (one.estimate.fixed_s, one.estimate.margin, one.runs) == (0.002, 1.5, 400)


def test_what_a_worker_learned_outlives_it_until_others_have_seen_as_much() -> None:
    memory = LearnedEstimates([learned(0.009, 5)])
    assert memory.known() == [learned(0.009, 5)]
    memory.told(1, [dump(learned(0.001, 300))])
    memory.told(2, [dump(learned(0.001, 2))])
    memory.gone(1)
    assert memory.known() == [learned(0.001, 302)]
    memory.told(2, [dump(learned(0.004, 49))])
    assert memory.known() == [learned(0.001, 302)]
    memory.told(2, [dump(learned(0.004, 50))])
    assert memory.known() == [learned(0.004, 50)]


def test_what_was_learned_of_another_file_gives_way_at_once() -> None:
    memory = LearnedEstimates([learned(0.009, 500, "old")])
    memory.told(1, [dump(learned(0.001, 1, "new"))])
    assert memory.known() == [learned(0.001, 1, "new")]


def test_where_the_file_was_replaced_the_newest_workers_counts() -> None:
    memory = LearnedEstimates()
    memory.told(1, [dump(learned(0.001, 300, "old"))])
    memory.told(2, [dump(learned(0.009, 2, "new"))])
    assert memory.known() == [learned(0.009, 2, "new")]


def test_versions_that_are_served_no_more_are_forgotten() -> None:
    other = learned(0.002, 7, key=VersionKey("m", 2))
    memory = LearnedEstimates([learned(0.001, 3), other])
    memory.told(1, [dump(learned(0.001, 3)), dump(other)])
    memory.keep([KEY])
    assert memory.known() == [learned(0.001, 3)]
    memory.gone(1)
    assert memory.known() == [learned(0.001, 3)]


def test_words_of_another_release_are_left_out() -> None:
    memory = LearnedEstimates()
    memory.told(1, [["later"], dump(learned(0.001, 3))])
    assert memory.known() == [learned(0.001, 3)]
