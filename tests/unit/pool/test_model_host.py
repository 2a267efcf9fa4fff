"""A host of many versions: one that fails hides no other, and what is told is true at every moment."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from serving.errors import ModelFailed, ModelUnservable, NotReady
from serving.inference import Hosted, Signature, Stacked, Tensor, TensorSpec, VersionKey
from serving.pool.health import Health
from serving.pool.model_host import Loaded, ModelHost
from serving.runtime.onnx_session import Interrupt
from serving.runtime.options import RuntimeOptions
from serving.runtime.source import ModelSource

SIGNATURE = Signature((TensorSpec("x", "FP32", (-1, 2)),), (TensorSpec("y", "FP32", (-1, 2)),))
ROW = (Tensor("x", "FP32", (1, 2), bytes(8)),)


class Echo:
    """Answers with its input; `before` runs first."""

    def __init__(self, key: VersionKey, before: Callable[[], None] = lambda: None, run_s: float = 0.001) -> None:
        self.hosted = Hosted(key, SIGNATURE, batchable=True, run_s=run_s)
        self.before = before
        self.runs = 0

    def run(
        self, inputs: Sequence[Stacked | Tensor], rows: int, interrupt: Interrupt | None = None
    ) -> tuple[Tensor, ...]:
        self.runs += 1
        self.before()
        return (Tensor("y", "FP32", (1, 2), bytes(8)),)

    def speed(self, threads: int) -> float:
        return self.hosted.run_s * min(threads, 3)


def source(model: str, version: int = 1) -> ModelSource:
    return ModelSource(VersionKey(model, version), Path(f"/models/{model}/{version}/model.onnx"))


def hang(until: threading.Event) -> None:
    until.wait(10)


def opened(source: ModelSource) -> Loaded:
    if source.key.model == "broken":
        raise ModelUnservable(f"{source.path}: the file is empty; export or copy it again")
    if source.key.model == "surprising":
        raise RuntimeError("who would have thought")
    return Echo(source.key)


def test_a_version_that_cannot_be_loaded_is_refused_with_its_text_and_the_others_are_hosted() -> None:
    host = ModelHost(opened)
    host.load([source("a"), source("broken"), source("b", 2), source("surprising")])
    assert set(host.catalogue()) == {VersionKey("a", 1), VersionKey("b", 2)}
    assert host.refused()[VersionKey("broken", 1)].endswith("the file is empty; export or copy it again")
    assert "who would have thought" in host.refused()[VersionKey("surprising", 1)]


def test_a_version_that_is_loaded_beside_others_yields_to_them_unless_its_session_keeps_threads() -> None:
    policies: dict[str, int] = {}

    def telling(source: ModelSource) -> Loaded:
        policies[source.key.model] = os.sched_getscheduler(0)
        return opened(source)

    host = ModelHost(telling)
    host.load([source("first")])
    threaded = replace(source("threaded"), options=RuntimeOptions(intra_op_threads=2))
    # One thread loads all: it must not have yielded before it opens what would inherit that.
    host.load([source("a"), threaded, source("b")], threads=1)
    yields, stays = os.SCHED_BATCH, os.SCHED_OTHER
    assert policies == {"first": stays, "threaded": stays, "a": yields, "b": yields}


def test_it_is_settled_only_when_every_version_is_hosted_or_refused() -> None:
    seen: list[tuple[int, bool]] = []
    host = ModelHost(opened)
    host.on_change(lambda: seen.append((len(host.catalogue()) + len(host.refused()), host.settled())))
    assert not host.settled()
    host.load([source("a"), source("broken"), source("b")], threads=1)
    assert seen == [(1, False), (2, False), (3, False), (3, True)]


def test_versions_load_at_the_same_time() -> None:
    together = threading.Barrier(2, timeout=10)

    def waiting(source: ModelSource) -> Loaded:
        together.wait()
        return Echo(source.key)

    host = ModelHost(waiting)
    host.load([source("a"), source("b")], threads=2)
    assert len(host.catalogue()) == 2


def test_a_batch_for_a_version_that_was_refused_says_why() -> None:
    host = ModelHost(opened)
    host.load([source("broken")])
    with pytest.raises(NotReady, match="the file is empty"):
        host.run(VersionKey("broken", 1), ROW, 1)


def test_a_failed_reload_takes_nothing_away() -> None:
    broken = False

    def sometimes(source: ModelSource) -> Loaded:
        if broken:
            raise ModelUnservable("cut off")
        return Echo(source.key)

    host = ModelHost(sometimes)
    host.load([source("a")])
    broken = True
    host.load([source("a")])
    assert set(host.catalogue()) == {VersionKey("a", 1)}
    assert host.refused() == {VersionKey("a", 1): "cut off"}


def test_an_unloaded_version_takes_no_new_batch() -> None:
    host = ModelHost(opened)
    host.load([source("a"), source("b")])
    host.unload(VersionKey("a", 1))
    assert set(host.catalogue()) == {VersionKey("b", 1)}
    with pytest.raises(NotReady):
        host.run(VersionKey("a", 1), ROW, 1)


def test_a_run_that_does_not_end_counts_as_hung_after_a_while_and_no_longer_when_it_ended() -> None:
    now = 0.0
    begun, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        go_on.wait(10)

    host = ModelHost(lambda source: Echo(source.key, hold), lambda: now)
    host.load([source("a")])
    runner = threading.Thread(target=host.run, args=(VersionKey("a", 1), ROW, 1))
    runner.start()
    begun.wait(10)
    now = 5.0
    assert host.hung(6.0) == ()
    assert host.hung(4.0) == (VersionKey("a", 1),)
    go_on.set()
    runner.join(10)
    assert host.hung(4.0) == ()


def test_the_health_check_really_runs_the_cheapest_version() -> None:
    cheap, dear = Echo(VersionKey("cheap", 1)), Echo(VersionKey("dear", 1), run_s=1.0)
    host = ModelHost(lambda source: {"cheap": cheap, "dear": dear}[source.key.model])
    host.load([source("dear"), source("cheap")])
    Health(host).check()
    assert (cheap.runs, dear.runs) == (1, 0)


def test_a_version_that_refuses_zeros_is_not_asked_again() -> None:
    def refuse() -> None:
        raise ModelFailed("no zeros, please")

    picky, other = Echo(VersionKey("picky", 1), refuse), Echo(VersionKey("other", 1), run_s=1.0)
    host = ModelHost(lambda source: {"picky": picky, "other": other}[source.key.model])
    host.load([source("picky"), source("other")])
    health = Health(host)
    health.check()
    health.check()
    assert (picky.runs, other.runs) == (1, 1)


def test_a_run_that_hangs_fails_the_health_check_in_bounded_time() -> None:
    go_on = threading.Event()
    host = ModelHost(lambda source: Echo(source.key, lambda: hang(go_on)))
    host.load([source("a")])
    with pytest.raises(NotReady, match="did not come back"):
        Health(host, patience_s=0.05).check()
    go_on.set()


def test_a_replica_without_a_version_that_can_run_is_well() -> None:
    host = ModelHost(opened)
    host.load([source("broken")])
    Health(host).check()


def test_slots_are_found_by_the_version_whose_run_takes_longest_and_are_one_where_nothing_runs() -> None:
    def measured(source: ModelSource) -> Loaded:
        model = Echo(source.key, run_s=float(source.key.version))
        return AnyNumber(source.key) if source.key.version == 1 else model

    host = ModelHost(measured)
    assert host.slots_worth(4) == 1
    host.load([source("quick", 1), source("slow", 2)])
    assert host.slots_worth(4) == 3
    assert host.slots_worth(2) == 2
    assert host.slots_worth(1) == 1


class AnyNumber(Echo):
    """Quicker than any other, and as quick as it is asked to be."""

    def speed(self, threads: int) -> float:
        return float(threads)
