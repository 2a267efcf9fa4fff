"""Rounds that are measured later than the first ones."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.run import continued


def results(commit: str = "abc", seconds: float = 2.0, rounds: int = 1, **contenders: Any) -> dict[str, Any]:
    machine = {"commit": commit}
    return {
        "machine": machine,
        "seconds": seconds,
        "rounds": rounds,
        "contenders": contenders,
        "workloads": {},
        "cells": [],
    }


def test_more_rounds_join_the_earlier_ones() -> None:
    joined = continued(results(rounds=3, bare="") | {"cells": [1]}, results(rounds=2, nginx=""))
    assert (joined["rounds"], joined["cells"], list(joined["contenders"])) == (5, [1], ["bare", "nginx"])


def test_rounds_beside_another_commit_of_an_earlier_checkout_are_refused() -> None:
    before, now = (results(earlier={"commit": commit}) for commit in ("old", "older"))
    with pytest.raises(SystemExit, match="earlier at commit old, these of older"):
        continued(before, now)
    assert continued(before, before)["rounds"] == 2


def test_rounds_of_another_commit_or_length_are_refused() -> None:
    with pytest.raises(SystemExit, match="commit abc, these of def"):
        continued(results(), results(commit="def"))
    with pytest.raises(SystemExit, match=r"seconds of each load 2\.0, these of 4\.0"):
        continued(results(), results(seconds=4.0))
