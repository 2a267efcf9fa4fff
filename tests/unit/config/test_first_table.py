"""The first routing table follows the configuration and what the repository has."""

from __future__ import annotations

import pytest

from serving.config.first_table import first_table
from serving.config.settings import Settings
from serving.errors import ConfigInvalid
from serving.inference import VersionKey
from serving.routing.table import Split, dump, load

FOUND = [VersionKey("a", 1), VersionKey("a", 10), VersionKey("a", 9), VersionKey("b", 3)]


def settings(**sections: object) -> Settings:
    return Settings.model_validate(sections)


def test_the_highest_number_answers_by_default_and_the_others_by_their_path() -> None:
    table = first_table(Settings(), FOUND)
    assert table.routes["a"].splits == (Split("stable", 10, 10_000),)
    assert [served.version for served in table.routes["a"].served] == [1, 9, 10]
    assert {served.pool for served in table.routes["a"].served} == {"default"}
    assert load(dump(table)) == table


def test_the_configuration_names_the_version_that_answers() -> None:
    table = first_table(settings(models={"a": {"routes": {"stable": 9}}}), FOUND)
    assert table.routes["a"].splits == (Split("stable", 9, 10_000),)


def test_a_named_version_that_cannot_be_served_stays_named() -> None:
    route = first_table(settings(models={"a": {"routes": {"stable": 4}}}), FOUND).routes["a"]
    assert route.splits == (Split("stable", 4, 10_000),)
    assert [served.version for served in route.served] == [1, 4, 9, 10]


def test_limits_reach_the_table() -> None:
    model = {"deadline_ms": 20, "batching": {"max_rows": 8, "queue_rows": 16, "queue_mb": 2}}
    served = first_table(settings(models={"b": model}), FOUND).routes["b"].served[0]
    assert (served.deadline_ms, served.max_rows, served.queue_rows, served.queue_mb) == (20, 8, 16, 2)


def test_without_batching_every_row_runs_alone() -> None:
    table = first_table(settings(models={"b": {"batching": {"enabled": False}}}), FOUND)
    assert table.routes["b"].served[0].max_rows == 1
    assert table.routes["a"].served[0].max_rows == 64


def test_the_in_process_engine_runs_everything_in_the_gateway() -> None:
    table = first_table(settings(engine={"kind": "in-process"}, models={"b": {"pool": "default"}}), FOUND)
    assert {served.pool for route in table.routes.values() for served in route.served} == {"gateway"}


def trial(canary: int, percent: float = 0.0, **more: object) -> dict[str, object]:
    return {"a": {"routes": {"stable": 9, "canary": canary, "canary_percent": percent}, **more}}


@pytest.mark.parametrize(("percent", "share_bp"), [(0, 0), (0.01, 1), (12.5, 1_250), (100, 10_000)])
def test_a_canary_gets_its_percent_in_basis_points_and_stable_the_rest(percent: float, share_bp: int) -> None:
    table = first_table(settings(models=trial(10, percent)), FOUND)
    assert table.routes["a"].splits == (Split("stable", 9, 10_000 - share_bp), Split("canary", 10, share_bp))
    assert load(dump(table)) == table


def test_a_version_under_trial_is_in_a_pool_of_its_own() -> None:
    route = first_table(settings(models=trial(10)), FOUND).routes["a"]
    assert {served.version: served.pool for served in route.served} == {1: "default", 9: "default", 10: "default-trial"}


def test_a_model_in_the_gateway_has_its_trial_there_too() -> None:
    by_pool = first_table(settings(models=trial(10, pool="gateway")), FOUND).routes["a"]
    by_engine = first_table(settings(models=trial(10), engine={"kind": "in-process"}), FOUND).routes["a"]
    assert {served.pool for served in (*by_pool.served, *by_engine.served)} == {"gateway"}


def test_a_canary_that_cannot_be_served_is_left_out() -> None:
    route = first_table(settings(models=trial(4, 50)), FOUND).routes["a"]
    assert route.splits == (Split("stable", 9, 10_000),)
    assert [served.version for served in route.served] == [1, 9, 10]


def test_another_trial_puts_other_keys_first() -> None:
    salts = {first_table(settings(models=trial(canary)), FOUND).routes["a"].salt for canary in (1, 10)}
    assert len(salts) == 2


def test_a_model_that_the_repository_does_not_have_is_an_error() -> None:
    with pytest.raises(ConfigInvalid, match=r"models\.flights: the repository has no version .* it has a, b"):
        first_table(settings(models={"flights": {}}), FOUND)
