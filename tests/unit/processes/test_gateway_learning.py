"""What a worker begins with and what it tells, with files that a test writes."""

from __future__ import annotations

import os
from pathlib import Path

from serving.batching.estimates import Estimates
from serving.batching.latency_model import Estimate
from serving.batching.learned import Learned, dump, readable
from serving.inference import VersionKey
from serving.processes.file_mark import file_mark
from serving.processes.gateway_learning import GatewayLearning
from serving.processes.session_plan import ServedModel

KEY = VersionKey("m", 1)
KNOWN = Estimate(0.5, 0.25, 2.0)


def written(folder: Path, content: bytes = b"model") -> ServedModel:
    path = folder / "model.onnx"
    path.write_bytes(content)
    os.utime(path, ns=(1, 1))
    return ServedModel("m", 1, str(path))


def test_a_worker_begins_with_what_was_learned_of_the_same_file(tmp_path: Path) -> None:
    served = written(tmp_path)
    learned = Learned("default", KEY, file_mark(served.path), KNOWN, 100)
    estimates = Estimates()
    GatewayLearning(estimates, [served], [dump(learned)])
    assert estimates.model("default", KEY, 0.001).estimate == KNOWN
    assert estimates.model("gateway", KEY, 0.001).estimate != KNOWN


def test_a_replaced_model_does_not_inherit(tmp_path: Path) -> None:
    served = written(tmp_path)
    learned = Learned("default", KEY, file_mark(served.path), KNOWN, 100)
    # As long as the other one, and of another time.
    Path(served.path).write_bytes(b"MODEL")
    estimates = Estimates()
    GatewayLearning(estimates, [served], [dump(learned)])
    assert estimates.model("default", KEY, 0.001).estimate != KNOWN


def test_what_is_loaded_under_the_number_of_one_that_was_let_go_begins_anew(tmp_path: Path) -> None:
    served = written(tmp_path)
    estimates = Estimates()
    learning = GatewayLearning(estimates, [served], [])
    estimates.model("default", KEY, 0.001).saw(1, 0.7)
    (before,) = readable(learning.news())
    learning.unloaded(KEY)
    written(tmp_path, b"another model")
    learning.loaded(served)
    model = estimates.model("default", KEY, 0.001)
    assert model.estimate.run_s(1) == 0.001
    model.saw(1, 0.001)
    (after,) = readable(learning.news())
    assert (before.file, after.file) == ("5-1", "13-1")


def test_a_version_that_is_loaded_again_while_it_is_hosted_keeps_the_mark_of_the_file_that_it_has(
    tmp_path: Path,
) -> None:
    served = written(tmp_path)
    estimates = Estimates()
    learning = GatewayLearning(estimates, [served], [])
    written(tmp_path, b"not loaded yet")
    learning.loaded(served)
    estimates.model("default", KEY, 0.001).saw(1, 0.001)
    assert readable(learning.news())[0].file == "5-1"


def test_only_what_has_run_since_is_told_again() -> None:
    estimates = Estimates()
    learning = GatewayLearning(estimates, [], [])
    busy, idle = (estimates.model("default", VersionKey("m", number), 0.001) for number in (1, 2))
    busy.saw(1, 0.002)
    idle.saw(1, 0.002)
    assert [one.key.version for one in readable(learning.news())] == [1, 2]
    assert learning.news() == []
    busy.saw(1, 0.002)
    (told,) = readable(learning.news())
    assert (told.key.version, told.runs, told.estimate) == (1, 2, busy.estimate)


def test_of_many_busy_versions_all_are_told_in_turns() -> None:
    estimates = Estimates()
    learning = GatewayLearning(estimates, [], [])
    models = [estimates.model("default", VersionKey("m", number), 0.001) for number in range(1, 501)]
    told = []
    for _ in range(3):
        for model in models:
            model.saw(1, 0.001)
        news = readable(learning.news())
        assert len(news) == 200
        told += [one.key.version for one in news]
    assert set(told) == set(range(1, 501))
