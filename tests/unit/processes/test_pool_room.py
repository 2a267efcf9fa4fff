"""A pool is started only where the cluster has room for all of its replicas."""

from __future__ import annotations

import pytest

from serving.errors import ModelUnservable
from serving.pool.pool_spec import PoolSpec
from serving.processes.pool_room import without

MB = 1024 * 1024
POOL = PoolSpec("big", (), replicas=3, num_cpus=0.5, memory_mb=100)
FREE = {"CPU": 1.5, "memory": 300.0 * MB, "node:127.0.0.1": 1.0}


def test_what_fits_is_taken_from_what_is_free() -> None:
    assert without(FREE, POOL) == {"CPU": 0.0, "memory": 0.0, "node:127.0.0.1": 1.0}


@pytest.mark.parametrize("free", [{**FREE, "CPU": 1.0}, {**FREE, "memory": 299.0 * MB}, {}])
def test_what_does_not_fit_is_refused_with_what_is_asked_for_and_what_is_left(free: dict[str, float]) -> None:
    with pytest.raises(ModelUnservable) as refused:
        without(free, POOL)
    assert "pool 'big'" in refused.value.message
    assert "it asks for 1.5 processors and 300 MB" in refused.value.message
    assert f"has {free.get('CPU', 0):g} and {free.get('memory', 0) / MB:.0f} MB left" in refused.value.message


def test_two_pools_do_not_get_the_same_room() -> None:
    with pytest.raises(ModelUnservable):
        without(without(FREE, POOL), POOL)
