"""A scenario with another target, rate or length."""

from __future__ import annotations

import pytest

from loadtests.scenario.changed import changed
from loadtests.scenario.reading import parsed
from serving.errors import ConfigInvalid

SCENARIO = parsed(
    "name: s\nusers: [{name: flights}]\nshape: [{for_s: 10, rate: 100}, {for_s: 30, rate: 100, to: 200}]\n"
    "chaos: [{at_s: 20, do: kill-replica}]\n",
    "file.yaml",
)


def test_rates_scale_and_moments_stretch_with_the_stages() -> None:
    made = changed(SCENARIO, scale=2, for_s=20)
    assert [(stage.for_s, stage.rate, stage.to) for stage in made.shape] == [(5, 200, None), (15, 200, 400)]
    assert made.chaos[0].at_s == 10
    assert changed(SCENARIO) == SCENARIO


def test_a_change_that_makes_no_scenario_is_refused() -> None:
    with pytest.raises(ConfigInvalid, match="rate"):
        changed(SCENARIO, scale=1e9)


@pytest.mark.parametrize(("scale", "for_s"), [(2.0, None), (1.0, 5.0)])
def test_recorded_times_are_not_changed_in_silence(scale: float, for_s: float | None) -> None:
    replayed = parsed("name: s\nusers: [{name: flights}]\ngenerator: {replay: times.txt}\n", "file.yaml")
    assert changed(replayed) == replayed
    with pytest.raises(ConfigInvalid, match="replayed as they are"):
        changed(replayed, scale=scale, for_s=for_s)


def test_a_closed_loop_has_no_rate_to_scale() -> None:
    closed = SCENARIO.model_copy(update={"generator": SCENARIO.generator.model_copy(update={"loop": "closed"})})
    assert changed(closed, for_s=20).shape[0].for_s == 5
    with pytest.raises(ConfigInvalid, match=r"generator\.callers"):
        changed(closed, scale=2)


def test_another_server_s_metrics_are_not_taken_for_those_of_the_target() -> None:
    scenario = SCENARIO.model_copy(update={"metrics": "http://127.0.0.1:8082/metrics"})
    assert changed(scenario, target=scenario.target).metrics == scenario.metrics
    assert changed(scenario, target="http://127.0.0.1:9").metrics is None
    assert (
        changed(scenario, target="http://127.0.0.1:9", metrics="http://127.0.0.1:8/m").metrics == "http://127.0.0.1:8/m"
    )
