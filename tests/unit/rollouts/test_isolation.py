"""Where a plan wants its canary to run, as people write it."""

from __future__ import annotations

from typing import Any

import pytest

from serving.errors import ConfigInvalid
from serving.rollouts import plan_file
from serving.rollouts.isolation import Isolation


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (None, Isolation()),
        ("own", Isolation()),
        ("shared", Isolation(shared=True)),
        ({"cpus": 1}, Isolation(cpus=1.0)),
        ({"replicas": 2, "cpus": 0.5, "memory_mb": 256}, Isolation(False, 2, 0.5, 256)),
    ],
)
def test_a_word_or_a_size_is_read(written: Any, meant: Isolation) -> None:
    document = {} if written is None else {"isolation": written}
    assert plan_file.parse(document).isolation == meant


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("alone", "isolation: 'alone' is not permitted; own, shared, or a size such as {replicas: 1, cpus: 0.5}"),
        ({"cpu": 1}, "isolation: unknown key 'cpu'; there are replicas, cpus, memory_mb"),
        ({"replicas": 0}, "isolation: replicas 0 is not permitted; a whole number from 1 to 1000"),
        ({"replicas": True}, "isolation: replicas True is not permitted"),
        ({"cpus": 0}, "isolation: cpus 0 is not permitted; a number above 0 and up to 1024"),
        ({"cpus": float("nan")}, "isolation: cpus nan is not permitted"),
        ({"memory_mb": 1}, "isolation: memory_mb 1 is not permitted; a whole number from 64"),
    ],
)
def test_what_is_neither_is_refused_with_what_would_be(written: Any, said: str) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        plan_file.parse({"isolation": written})
    assert said in refused.value.message
