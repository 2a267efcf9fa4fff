"""How processes of pytest share one set of tests: each file is run by the one that comes to it first."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from pathlib import Path

import pytest

# Where those of one set write down what they take, and the name of this one; `tests.lanes.run` sets both.
FOLDER, NAME = "SLUICE_TESTS_CLAIMS", "SLUICE_TESTS_LANE"

# Folders that are taken as a whole, since their tests share one cluster.
_TOGETHER = ("tests/integration/ray",)
_NEXT = "\0"


class Claims:
    """A plugin that passes over what another process has taken, and what an earlier one of this name began."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._begun = folder / f"{name}.begun"
        self._failures = folder / f"{name}.failures"
        self._end = folder / f"{name}.end"
        self._end.unlink(missing_ok=True)
        self._before = frozenset(begun(folder, name))
        self._ours: dict[str, bool] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Run what is ours; pytest itself says what was wrong where not all could be collected."""
        if session.testsfailed:
            return None
        ours = filter(self._is_ours, session.items)
        item = next(ours, None)
        while item is not None:
            # Known before it runs, since what both do not share is ended with it.
            following = next(ours, None)
            self._write_down(item)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.shouldstop:
                raise session.Interrupted(session.shouldstop)
            item = following
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self) -> Generator[None, None, None]:
        """Whoever does not come to this was ended in the middle."""
        yield
        self._end.touch()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write failures down: pytest tells of them in the end, to which it does not come where a test ends it."""
        if report.failed:
            more = [f"--- {title}\n{text}" for title, text in report.sections]
            with self._failures.open("a") as file:
                file.write("\n".join([f"{report.nodeid} ({report.when})", report.longreprtext, *more]) + _NEXT)

    def _is_ours(self, item: pytest.Item) -> bool:
        unit = unit_of(item.nodeid)
        if unit not in self._ours:
            self._ours[unit] = self._take(unit)
        return self._ours[unit] and item.nodeid not in self._before

    def _write_down(self, item: pytest.Item) -> None:
        with self._begun.open("a") as file:
            file.write(f"{item.nodeid}\n")

    def _take(self, unit: str) -> bool:
        claim = self._folder / unit.replace("/", "+")
        try:
            descriptor = os.open(claim, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            # By an earlier process of this name, which ended in the middle of it.
            return claim.read_text() == self._name
        with os.fdopen(descriptor, "w") as file:
            file.write(self._name)
        return True


def claims_of(environment: Mapping[str, str]) -> Claims | None:
    """None where this process runs all that it was given."""
    folder = environment.get(FOLDER)
    return Claims(Path(folder), environment[NAME]) if folder else None


def unit_of(nodeid: str) -> str:
    """What is taken in one piece: the test's file, or a folder."""
    file = nodeid.partition("::")[0]
    return next((folder for folder in _TOGETHER if file.startswith(f"{folder}/")), file)


def begun(folder: Path, name: str) -> list[str]:
    """The tests that a lane began, in their order."""
    path = folder / f"{name}.begun"
    return path.read_text().splitlines() if path.exists() else []


def failures(folder: Path, name: str) -> list[str]:
    """What failed, each with its name in the first line."""
    path = folder / f"{name}.failures"
    return path.read_text().split(_NEXT)[:-1] if path.exists() else []


def ended(folder: Path, name: str) -> bool:
    """Whether the lane's process came to the end of its tests."""
    return (folder / f"{name}.end").exists()
