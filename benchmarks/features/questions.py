"""What is asked: the same rows by their ids, as plain tensors, and of Feast's own server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import orjson
from numpy.typing import NDArray

from benchmarks import model
from benchmarks.encodings import Instances, Reply, Values
from benchmarks.features.shape import Shape, entity_id
from benchmarks.growth.questions import ManyRows
from benchmarks.workload import Workload, session_of

# Web requests are near 1: the 100 most popular of 100,000 entities get half of all look-ups.
ZIPF = 1.1
# Rows that the load asks for in turn, and at least so many requests.
_ROWS, _REQUESTS = 20_000, 200

Table = NDArray[np.float32]
Asked = NDArray[np.int64]


@lru_cache(maxsize=1)
def tables(shape: Shape) -> dict[str, Table]:
    """float32 [keys, width] for each view, two decimals."""
    random = np.random.default_rng(17)
    return {view: random.normal(size=(shape.keys, shape.width)).round(2).astype(np.float32) for view in shape.names}


def sample(shape: Shape) -> Asked:
    """int64 [requests, instances, views]: which entity of each view an instance is about."""
    random = np.random.default_rng(19)
    weights = np.arange(1, shape.keys + 1) ** -ZIPF
    # Popular ones are no neighbours.
    shuffled = random.permutation(shape.keys)
    size = (max(_REQUESTS, _ROWS // shape.instances), shape.instances, shape.views)
    return shuffled[random.choice(shape.keys, size=size, p=weights / weights.sum())]


def workloads(shape: Shape, repository: Path) -> dict[str, Workload]:
    """By what they ask: `ids`, `tensors`, and `feast` where the row itself is the answer."""
    same = shape.same
    path = model.build_same(repository, shape.model) if same else model.build(repository, shape.features)
    asked = sample(shape)
    rows = np.concatenate([tables(shape)[view][asked[:, :, at]] for at, view in enumerate(shape.names)], axis=2)
    session = session_of(path)
    given, made = session.get_inputs()[0].name, session.get_outputs()[0].name
    answers = np.stack([session.run(None, {given: some})[0] for some in rows])
    flat = rows.reshape(len(rows), -1)
    first = Workload(
        "ids", shape.model, 1, given, flat, (answers.reshape(len(rows), -1),), (made,), ByIds(shape, asked), varied=True
    )
    found = {"ids": first, "tensors": _as(first, "tensors", ManyRows(shape.instances))}
    if shape.same:
        found["feast"] = _as(first, "feast", OfFeast(shape, asked))
    return found


@dataclass(frozen=True, slots=True)
class ByIds:
    """V1: instances with an id for each view."""

    shape: Shape
    asked: Asked

    def headers(self, workload: Workload) -> Mapping[str, str]:
        """JSON."""
        return Instances(()).headers(workload)

    def path(self, workload: Workload) -> str:
        """Predict."""
        return Instances(()).path(workload)

    def body(self, workload: Workload, row: int) -> bytes:
        """Its instances."""
        del workload
        names = self.shape.names
        instances = [dict(zip(names, map(entity_id, one), strict=True)) for one in self.asked[row].tolist()]
        return orjson.dumps({"instances": instances})

    def given(self, workload: Workload, reply: Reply) -> Values:
        """The predictions, end to end."""
        del workload
        return [np.asarray(orjson.loads(reply.body)["predictions"], dtype=np.float64).ravel()]


@dataclass(frozen=True, slots=True)
class OfFeast:
    """Feast's server: the entities and the features by name; results are columns, those of the join keys first."""

    shape: Shape
    asked: Asked

    def headers(self, workload: Workload) -> Mapping[str, str]:
        """JSON."""
        return Instances(()).headers(workload)

    def path(self, workload: Workload) -> str:
        """Its only way."""
        del workload
        return "/get-online-features"

    def body(self, workload: Workload, row: int) -> bytes:
        """All features of these entities."""
        del workload
        ids = {
            view: [entity_id(int(one)) for one in self.asked[row, :, at]] for at, view in enumerate(self.shape.names)
        }
        features = [f"{view}:{column}" for view in self.shape.names for column in self.shape.columns(view)]
        return orjson.dumps({"features": features, "entities": ids})

    def given(self, workload: Workload, reply: Reply) -> Values:
        """The rows, end to end."""
        del workload
        answer = orjson.loads(reply.body)
        columns = {
            name: result["values"]
            for name, result in zip(answer["metadata"]["feature_names"], answer["results"], strict=True)
        }
        wanted = [columns[name] for view in self.shape.names for name in self.shape.columns(view)]
        return [np.asarray(wanted, dtype=np.float64).T.ravel()]


def _as(first: Workload, name: str, encoding: ManyRows | OfFeast) -> Workload:
    return Workload(
        name, first.model, 1, first.input_name, first.rows, first.expected, first.output_names, encoding, varied=True
    )
