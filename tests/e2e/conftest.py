"""Whole sessions for tests: one of each engine shared by all, and others that a test starts for itself.

The shared ones serve the flights and the zoo of `serving/testing/models.py`; who kills, stops or breaks something
starts a session with `start`. Files that use them come first, and they end with the last of these: a Ray cluster that
does nothing takes a tenth of a processor from all that follows.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from deployments.flights import sample
from serving.testing.models import save_zoo
from tests.e2e.own_session import ray_session
from tests.e2e.refused_models import write_refused
from tests.e2e.sluice_up import SluiceUp
from tests.e2e.telling_model import save_telling

Start = Callable[..., SluiceUp]

_SHARED = frozenset({"gateway", "in_process", "on_ray", "one_replica"})
_FOLDER = Path(__file__).parent
_SHARING = pytest.StashKey[frozenset[Path]]()
_RUNNING = pytest.StashKey[contextlib.ExitStack]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Files that share sessions come before the others of this folder."""
    places = [place for place, item in enumerate(items) if _FOLDER in item.path.parents]
    ours = [items[place] for place in places]
    sharing = frozenset(item.path for item in ours if not _SHARED.isdisjoint(getattr(item, "fixturenames", ())))
    for place, item in zip(places, sorted(ours, key=lambda one: one.path not in sharing), strict=True):
        items[place] = item
    config.stash[_SHARING] = sharing


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, None, None]:
    """After the last of those files the sessions end; what is wrong with their ends is told of its last test."""
    yield
    if nextitem is None or nextitem.path not in item.config.stash[_SHARING]:
        item.config.stash.get(_RUNNING, contextlib.ExitStack()).close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What the session said is part of a failure's report."""
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        for name, value in item.funcargs.items():
            # After a failure of its own end nothing of it is left to be read.
            if isinstance(value, SluiceUp) and value.folder.exists():
                report.sections.append((f"output of {name}", value.logs()))
    return report


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The flights, the zoo, a model that tells its batches, and beside them what is to be refused."""
    root = tmp_path_factory.mktemp("repository")
    save_zoo(root)
    # Made-up words are all unknown to it, and equal answers prove nothing about rows.
    (root / "word-lookup" / "model.yaml").write_text("samples:\n  - word: [EWR]\n  - word: [JFK]\n  - word: [other]\n")
    save_telling(root)
    shutil.copytree(sample.MODELS, root, dirs_exist_ok=True)
    write_refused(root)
    return root


@pytest.fixture(scope="session")
def shared(request: pytest.FixtureRequest) -> Iterator[contextlib.ExitStack]:
    """What runs until the last file that shares sessions."""
    with contextlib.ExitStack() as running:
        request.config.stash[_RUNNING] = running
        yield running


@pytest.fixture(scope="session")
def in_process(repository: Path, shared: contextlib.ExitStack) -> SluiceUp:
    """The shared session with models in the gateway's worker."""
    return shared.enter_context(_session(repository, "in-process"))


@pytest.fixture(scope="session")
def on_ray(repository: Path, shared: contextlib.ExitStack) -> SluiceUp:
    """The shared session with models in replicas."""
    return shared.enter_context(_session(repository, "ray"))


@pytest.fixture(scope="session")
def one_replica(tmp_path_factory: pytest.TempPathFactory, shared: contextlib.ExitStack) -> SluiceUp:
    """One worker, one replica: for tests that end or stop parts of it, and wait until it is whole again."""
    return shared.enter_context(ray_session(tmp_path_factory.mktemp("one")))


@pytest.fixture(params=["in-process", "ray"])
def gateway(request: pytest.FixtureRequest) -> SluiceUp:
    """Both shared sessions, one after the other."""
    session: SluiceUp = request.getfixturevalue("in_process" if request.param == "in-process" else "on_ray")
    return session


@pytest.fixture
def start() -> Iterator[Start]:
    """`start("--models", folder, engine="ray")`: a ready session of the test's own.

    At the end of the test those that still run are stopped; a clean end, and nothing left, is asserted for each.
    """
    started: list[SluiceUp] = []

    def begin(*arguments: str | Path, engine: str = "in-process", ready: bool = True, **more: str) -> SluiceUp:
        session = SluiceUp(*map(str, arguments), engine=engine, **more)
        started.append(session)
        return session.wait_until_ready() if ready else session

    try:
        yield begin
        for session in started:
            session.close()
    finally:
        for session in started:
            session.destroy()


@contextlib.contextmanager
def _session(repository: Path, engine: str) -> Iterator[SluiceUp]:
    session = SluiceUp("--models", str(repository), engine=engine)
    try:
        yield session.wait_until_ready()
        session.close()
    finally:
        session.destroy()
