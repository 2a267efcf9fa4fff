"""How the near cache of a worker is put together."""

from __future__ import annotations

from serving.features.cache.lifetime import Lifetime
from serving.features.store.store_address import parse_store
from serving.processes.near_cache import NearCacheOfWorker, Stored, told_of
from serving.telemetry.catalogue import CACHE_HEARD, CACHE_LOOK_UPS
from serving.telemetry.recorder import Recorder
from tests.unit.features.cache.conftest import Store

HEARD, UNHEARD = Lifetime(), Lifetime(heard=False)
A, B, FEAST = b"sluice:f:a:", b"sluice:f:b:", b"feast:c:"
NOWHERE = Stored(parse_store("unix:///nowhere"), ())


def test_the_server_tells_of_all_rows_at_once_unless_a_view_is_left_out() -> None:
    assert told_of({A: HEARD, B: HEARD, FEAST: UNHEARD}) == [b"sluice:f:"]
    assert told_of({A: HEARD, B: UNHEARD}) == [A]
    assert told_of({FEAST: HEARD}) == [], "its hashes have other names"


def test_its_figures_are_told_and_what_is_not_listened_to_has_none() -> None:
    recorder = Recorder()
    NearCacheOfWorker(NOWHERE, Store(), 1_000_000, {A: HEARD}).tell(recorder)
    told = recorder.snapshot()
    assert [CACHE_HEARD.name, [], 0.0] in [[name, list(labels), value] for name, labels, value in told["gauges"]]
    assert {labels[0] for name, labels, _ in told["counters"] if name == CACHE_LOOK_UPS.name} == {
        *("hit", "negative", "refreshing", "joined", "miss", "stale"),
    }
    NearCacheOfWorker(NOWHERE, Store(), 1_000_000, {FEAST: UNHEARD}).tell(recorder)
    assert not any(name == CACHE_HEARD.name for name, *_ in recorder.snapshot()["gauges"])
