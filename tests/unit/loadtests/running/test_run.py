"""How a load ends."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from loadtests.generator.outcomes import UNANSWERED
from loadtests.running import run as running
from loadtests.running.run import settled
from tests.unit.loadtests.judging.made import outcomes


def interrupted(times: int) -> tuple[Any, list[bool]]:
    """A fleet that Ctrl-C comes to so often; and for each time it was told to stop, whether at once."""
    told: list[bool] = []

    def wait(_: float) -> bool:
        if len(told) < times:
            raise KeyboardInterrupt
        return True

    return SimpleNamespace(running=True, wait=wait, stop=lambda *, at_once: told.append(at_once)), told


def test_the_first_ctrl_c_waits_for_the_last_answers_and_the_second_does_not() -> None:
    fleet, told = interrupted(0)
    assert not running._until_over(fleet, None)
    fleet, told = interrupted(2)
    assert running._until_over(fleet, None)
    assert told == [False, True]


def test_the_third_ctrl_c_wants_no_report() -> None:
    fleet, told = interrupted(3)
    with pytest.raises(KeyboardInterrupt):
        running._until_over(fleet, None)
    assert told == [False, True]


def test_ctrl_c_while_it_is_asked_whether_all_is_over_is_no_other_one() -> None:
    asked = iter([True, KeyboardInterrupt, False])

    class Fleet:
        def wait(self, _: float) -> bool:
            return False

        def stop(self, *, at_once: bool) -> None:
            assert not at_once

        @property
        def running(self) -> bool:
            said = next(asked)
            if said is KeyboardInterrupt:
                raise KeyboardInterrupt
            return bool(said)

    assert running._until_over(Fleet(), None)  # type: ignore[arg-type]


def test_ctrl_c_while_the_server_s_metrics_are_read_loses_those_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def scraped(_: str | None) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "scraped", scraped)
    assert running._scraped_after("http://127.0.0.1:9") is None


def test_what_nobody_would_wait_for_is_no_request_without_an_answer() -> None:
    load = outcomes([1.0, 5_000.0, 1.0], [200, UNANSWERED, UNANSWERED])
    load.ended[2] = np.nan
    assert settled(load, left=False) is load
    assert settled(load, left=True).status.tolist() == [200, UNANSWERED]
