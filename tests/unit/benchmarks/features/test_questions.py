"""The same rows by ids, as tensors, and of Feast's server: right answers are known as such, and wrong ones too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson
import pytest

from benchmarks.check import difference_from
from benchmarks.encodings import Reply
from benchmarks.features.questions import tables, workloads
from benchmarks.features.shape import Shape, read
from benchmarks.workload import Workload

SHAPE = Shape(views=2, width=3, keys=10, instances=4, same=True)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Workload]:
    return workloads(SHAPE, tmp_path_factory.mktemp("models"))


def test_rows_by_ids_are_those_of_the_tables(asked: dict[str, Workload]) -> None:
    instances = orjson.loads(asked["ids"].body(5))["instances"]
    assert [list(one) for one in instances] == [["view0", "view1"]] * 4
    rows = [
        [*tables(SHAPE)["view0"][int(one["view0"])], *tables(SHAPE)["view1"][int(one["view1"])]] for one in instances
    ]
    reply = Reply(200, {}, orjson.dumps({"predictions": np.array(rows, dtype=float).tolist()}))
    assert difference_from(asked["ids"], 5, reply) <= 1
    assert difference_from(asked["ids"], 6, reply) > 1


def test_as_tensors_they_are_the_same_rows(asked: dict[str, Workload]) -> None:
    (tensor,) = orjson.loads(asked["tensors"].body(5))["inputs"]
    assert tensor["shape"] == [4, 6]
    assert np.allclose(tensor["data"], asked["ids"].rows[5])


def test_feasts_columns_are_put_into_rows_by_their_names(asked: dict[str, Workload]) -> None:
    body = orjson.loads(asked["feast"].body(5))
    assert body["features"][3] == "view1:view1_f0"
    named = {
        f"{view}_f{at}": tables(SHAPE)[view][[int(one) for one in body["entities"][view]], at]
        for view in body["entities"]
        for at in range(3)
    }
    names = [*body["entities"], *reversed(named)]
    results = [{"values": body["entities"].get(name) or named[name].astype(float).tolist()} for name in names]
    reply = Reply(200, {}, orjson.dumps({"metadata": {"feature_names": names}, "results": results}))
    assert difference_from(asked["feast"], 5, reply) <= 1
    assert difference_from(asked["feast"], 6, reply) > 1


def test_the_peers_read_the_shape_that_was_written(tmp_path: Path) -> None:
    SHAPE.write(tmp_path)
    assert read(tmp_path) == SHAPE
