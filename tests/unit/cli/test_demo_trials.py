"""What the demo rolls out is there, and the plan it is rolled out by is one."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployments.flights.sample import MODEL
from serving.cli.canary_choice import Canary
from serving.cli.demo_trials import STABLE, TRIALS, write_configuration, write_repository
from serving.config.effective import effective
from serving.registry.repository import Repository
from serving.rollouts import plan_file


@pytest.mark.parametrize("canary", list(Canary))
def test_the_version_and_the_one_that_answers_are_a_repository_of_their_own(canary: Canary, tmp_path: Path) -> None:
    listing = Repository(write_repository(tmp_path, TRIALS[canary].version)).listing()
    assert {str(one.key) for one in listing.versions} == {f"{MODEL}/{STABLE}", f"{MODEL}/{TRIALS[canary].version}"}
    assert not listing.problems


def test_version_1_answers_though_there_is_a_higher_one(tmp_path: Path) -> None:
    settings = effective(write_configuration(tmp_path), {}, {}).settings
    assert settings.model(MODEL).routes.stable == STABLE
    assert set(settings.feature_views) == {"plane", "carrier", "route"}


@pytest.mark.parametrize("canary", list(Canary))
def test_only_the_good_one_may_score_otherwise_and_no_plan_lasts_longer_than_a_demo(canary: Canary) -> None:
    plan = plan_file.parse(TRIALS[canary].plan())
    assert plan.expect_drift == (canary is Canary.GOOD)
    assert sum(step.least_s for step in plan.steps) <= 60
