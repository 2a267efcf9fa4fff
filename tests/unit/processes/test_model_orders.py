"""Orders of the protocol are the control API's, in a row; one that fails leaves what was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from serving.errors import BadRequest, InUse, ModelUnservable, ServingError, UnknownModel
from serving.inference import VersionKey
from serving.processes.asking import Facts
from serving.processes.model_orders import ModelOrders
from serving.registry.staging import stage
from serving.routing.table import Route, RouteTable, Served, Split
from serving.testing.models import doubler, save


class FakeVersions:
    """Serves `m` in version 1 and does what it is told; `objects` to one version, or to limits."""

    def __init__(self) -> None:
        self.served = {"m": [1]}
        self.limits: dict[str, int] = {}
        self.objects: dict[object, ServingError] = {}

    async def table(self) -> RouteTable:
        routes = {
            model: Route(model, model, (Split("stable", numbers[0], 10_000),), tuple(Served(n, "p") for n in numbers))
            for model, numbers in self.served.items()
        }
        return RouteTable(1, routes)

    async def load(self, key: VersionKey) -> Facts:
        if key.version in self.objects:
            raise self.objects[key.version]
        numbers = self.served.setdefault(key.model, [])
        changed = key.version not in numbers
        if changed:
            numbers.append(key.version)
        return {"changed": changed}

    async def limit(self, model: str, limits: dict[str, int]) -> None:
        if "limits" in self.objects:
            raise self.objects["limits"]
        self.limits = limits

    async def unload(self, model: str, version: int | None, *, force: bool) -> Facts:
        assert force
        if version is None or self.served[model] == [version]:
            del self.served[model]
        else:
            self.served[model].remove(version)
        return {}


class Session:
    def __init__(self, root: Path) -> None:
        self.versions = FakeVersions()
        self.orders = ModelOrders(cast("Any", self.versions), root)
        self.root = root
        for version in (1, 2, 3):
            save(root, "m", version, doubler())

    async def load(self, model: str = "m", staged: str = "", **config: object) -> None:
        await self.orders.load(model, json.dumps(config) if config else "", staged)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(tmp_path)


def specific(*versions: int) -> dict[str, object]:
    return {"specific": {"versions": list(versions)}}


async def test_without_a_policy_the_highest_version_comes_beside_the_others(session: Session) -> None:
    await session.load(max_batch_size=4)
    assert session.versions.served == {"m": [1, 3]}
    assert session.versions.limits == {"max_rows": 4}


async def test_a_policy_brings_its_versions_and_ends_the_others(session: Session) -> None:
    await session.load(version_policy=specific(1, 2))
    assert session.versions.served == {"m": [1, 2]}
    await session.load(version_policy=specific(1, 3))
    assert session.versions.served == {"m": [1, 3]}
    await session.orders.unload("m")
    await session.load(version_policy={"latest": {"num_versions": 2}})
    # The highest one first: it answers by default.
    assert session.versions.served == {"m": [3, 2]}


async def test_the_version_that_answers_is_never_left_out(session: Session) -> None:
    with pytest.raises(InUse, match="version 1 of model 'm' answers"):
        await session.load(version_policy=specific(2))
    assert session.versions.served == {"m": [1]}


@pytest.mark.parametrize("objects", [2, "limits"])
async def test_what_was_loaded_for_an_order_that_fails_is_let_go_again(session: Session, objects: object) -> None:
    session.versions.objects[objects] = ModelUnservable("m/2/model.onnx: broken")
    with pytest.raises(ModelUnservable):
        await session.load(version_policy={"all": {}}, max_batch_size=2)
    assert session.versions.served == {"m": [1]}


async def test_files_are_adopted_and_loaded(session: Session) -> None:
    files = {f"{version}/model.onnx": doubler().SerializeToString() for version in (4, 5)}
    await session.load("m", stage(session.root, "m", files))
    assert session.versions.served == {"m": [1, 5, 4]}
    await session.load("new", stage(session.root, "new", {"7/model.onnx": b"model"}))
    assert session.versions.served["new"] == [7]
    assert (session.root / "new" / "7" / "model.onnx").read_bytes() == b"model"


async def test_files_that_cannot_be_loaded_are_taken_out_of_the_repository(session: Session) -> None:
    session.versions.objects[9] = ModelUnservable("new/9/model.onnx: no ONNX")
    with pytest.raises(ModelUnservable):
        await session.load("new", stage(session.root, "new", {"9/model.onnx": b"no model"}))
    assert [path.name for path in session.root.iterdir()] == ["m"]


async def test_what_is_not_there_is_told(session: Session) -> None:
    with pytest.raises(UnknownModel, match=r"no model 'other'; it has \['m'\]"):
        await session.load("other")
    (session.root / "empty" / "1").mkdir(parents=True)
    with pytest.raises(ModelUnservable, match=r"there is no file model\.onnx"):
        await session.load("empty")
    with pytest.raises(BadRequest, match="no model repository"):
        await ModelOrders(cast("Any", session.versions), None).load("m", "", "")
    assert ModelOrders(cast("Any", session.versions), None).listing() is None
