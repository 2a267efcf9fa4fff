"""One suite for every implementation: backends, and edges."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import uvloop

from serving.backends.backend import Backend
from serving.inference import VersionKey
from serving.request_path.predictions import Predictions
from serving.runtime.loaded_model import ModelSource
from serving.testing import models
from serving.testing.administration import FakeAdministration
from serving.testing.predictions import FakePredictions, mean_answer
from tests.contract.asked import KINDS
from tests.contract.both_edges import HANGS, Ports, predictor, served
from tests.contract.edge_ways import WAYS, Way
from tests.contract.implementations import IMPLEMENTATIONS, Lasting

HOSTED = (
    "doubler",
    "raises-on-13",
    "short-answer",
    "word-lookup",
    "scalar",
    "fixed-batch",
    "several",
    "slow",
    "with-default",
)
BROKEN = "broken"
TWO_VERSIONS = "doubler"
EDGE_MODELS: Mapping[str, models.Build] = {
    **{name: models.ZOO[name] for name in ("doubler", "several", "scalar", "with-default", "raises-on-13")},
    **{f"echo-{datatype}": partial(models.echo, kind, "m") for datatype, kind in KINDS.items()},
    "a/b": models.doubler,
    HANGS.model: models.doubler,
}


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Callable[[], Any]]:
    """The loop that gateways run on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def lasting() -> Iterator[Lasting]:
    """Ended after the last test."""
    with tempfile.TemporaryDirectory(prefix="sluice-") as name, ExitStack() as undo:
        yield Lasting(Path(name), undo)


@pytest.fixture(scope="session")
def sources(lasting: Lasting) -> list[ModelSource]:
    """Version 1 of the models above and of one whose file ends early."""
    root = lasting.folder
    found = [ModelSource(VersionKey(model, 1), models.save(root, model, 1, models.ZOO[model]())) for model in HOSTED]
    truncated = models.save(root, BROKEN, 1, models.doubler())
    truncated.write_bytes(truncated.read_bytes()[:40])
    return [*found, ModelSource(VersionKey(BROKEN, 1), truncated)]


@pytest.fixture(scope="session")
def edges(lasting: Lasting) -> Iterator[Ports]:
    """Both edges over models that run."""
    root = lasting.folder / "edges"
    sources = [
        ModelSource(VersionKey(model, version), models.save(root, model, version, build()))
        for model, build in EDGE_MODELS.items()
        for version in ((1, 2) if model == TWO_VERSIONS else (1,))
    ]
    with served(partial(predictor, sources)) as ports:
        yield ports


@pytest.fixture(scope="session")
def canned() -> Iterator[tuple[Ports, FakePredictions]]:
    """Both edges over answers that a test makes up, and who gives them; every test begins with those of `mlp`."""
    predictions = FakePredictions()
    predictions.administration = FakeAdministration()

    @asynccontextmanager
    async def begin() -> AsyncIterator[Predictions]:
        yield predictions

    with served(begin) as ports:
        yield ports, predictions


@pytest.fixture(params=list(WAYS))
def way(request: pytest.FixtureRequest, edges: Ports) -> Iterator[Way]:
    """Each way to ask in turn, over models that run."""
    with WAYS[request.param](edges) as opened:
        yield opened


@pytest.fixture(params=list(WAYS))
def canned_way(
    request: pytest.FixtureRequest, canned: tuple[Ports, FakePredictions]
) -> Iterator[tuple[Way, FakePredictions]]:
    """Each way to ask in turn, over answers that a test makes up."""
    ports, predictions = canned
    predictions.reply = mean_answer
    predictions.accepted.clear()
    with WAYS[request.param](ports) as opened:
        yield opened, predictions
    predictions.reply = mean_answer


@pytest.fixture(params=list(IMPLEMENTATIONS))
async def backend(
    request: pytest.FixtureRequest, sources: list[ModelSource], lasting: Lasting
) -> AsyncIterator[Backend]:
    """Each implementation in turn, done loading."""
    async with IMPLEMENTATIONS[request.param](sources, lasting) as opened:
        yield opened
