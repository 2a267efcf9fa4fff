"""Requests by entity: popular ones often, and the rows that their look-ups give."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson

from benchmarks import entity_rows
from benchmarks.check import difference_from
from benchmarks.encodings import Instances, Reply
from benchmarks.workload import Workload

EXPECTED = np.array([[0.5, -1.25], [2.0, 3.0]], dtype=np.float32)
WORKLOAD = Workload("w", "m", 1, "x", np.zeros((2, 32), dtype=np.float32), (EXPECTED,), ("p",))


def test_a_few_entities_get_much_of_what_is_asked_and_most_are_seldom_asked() -> None:
    asked = entity_rows.sample(20_000)
    counts = [count for _, count in Counter(asked[:, 0].tolist()).most_common()]
    assert sum(counts[:100]) > 0.4 * len(asked)
    assert sum(count == 1 for count in counts) > len(counts) / 2


def test_a_finished_row_is_the_features_of_its_entities_in_the_views_order() -> None:
    asked = entity_rows.sample(3)
    finished = entity_rows.finished(asked)
    for number, row in enumerate(asked.tolist()):
        stored = [entity_rows.tables()[view][entity] for view, entity in zip(entity_rows.VIEWS, row, strict=True)]
        assert finished[number].tolist() == np.concatenate(stored).tolist()


def test_an_instance_names_the_entities_that_are_stored() -> None:
    (instance,) = entity_rows.instances(np.array([[0, 1, 2, 3]]))
    stored = dict(zip(range(4), entity_rows.stored("shop"), strict=False))
    assert stored[2][0] == instance["shop"]


def test_an_answer_by_entity_is_compared_with_the_row_that_was_asked(tmp_path: Path) -> None:
    by_entity = replace(WORKLOAD, encoding=Instances([{"user": "1"}, {"user": "2"}]), varied=True)
    assert by_entity.path == "/v1/models/m:predict"
    assert by_entity.write_bodies(tmp_path).read_bytes().splitlines() == [
        b'{"instances":[{"user":"1"}]}',
        b'{"instances":[{"user":"2"}]}',
    ]
    assert difference_from(by_entity, 1, Reply(200, {}, orjson.dumps({"predictions": [[2.0, 3.0]]}))) == 0
    assert difference_from(by_entity, 1, Reply(200, {}, orjson.dumps({"predictions": [[0.5, -1.25]]}))) > 1
    for body in (b"", b"{}", b'{"predictions":[]}', b'{"predictions":3}'):
        assert difference_from(by_entity, 1, Reply(200, {}, body)) == float("inf")
