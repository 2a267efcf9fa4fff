"""One suite, every implementation."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import uvloop

from serving.backends.backend import Backend
from serving.inference import VersionKey
from serving.runtime.loaded_model import ModelSource
from serving.testing import models
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


@pytest.fixture(params=list(IMPLEMENTATIONS))
async def backend(
    request: pytest.FixtureRequest, sources: list[ModelSource], lasting: Lasting
) -> AsyncIterator[Backend]:
    """Each implementation in turn, done loading."""
    async with IMPLEMENTATIONS[request.param](sources, lasting) as opened:
        yield opened
