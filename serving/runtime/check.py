"""What of a repository can be served, how, and what is to be done about the rest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from serving.errors import ModelUnservable
from serving.inference import Hosted
from serving.registry.repository import MANIFEST_FILE, Problem, Repository, RepositoryVersion
from serving.runtime.inspector import Inspector
from serving.runtime.manifest_fit import misfit
from serving.runtime.source import source_of


@dataclass(frozen=True, slots=True)
class Finding:
    """One version, or a problem of a whole model (`version` is None).

    `what` names the file and what is wrong with it, `remedy` what to do; both are empty when the version can be served,
    and `hosted` then says how.
    """

    model: str
    version: int | None
    path: Path
    what: str = ""
    remedy: str = ""
    hosted: Hosted | None = None

    @property
    def ok(self) -> bool:
        """It can be served."""
        return not self.what

    @property
    def text(self) -> str:
        """What is wrong and what to do, in one sentence."""
        return f"{self.what}; {self.remedy}" if self.remedy else self.what


def check(root: Path, timeout_s: float = 60.0) -> Iterator[Finding]:
    """Every problem, then every version: loaded, warmed up and proven in another process, as a replica would.

    Raises:
        ConfigInvalid: there is no such folder.
    """
    listing = Repository(root).listing()
    for problem in listing.problems:
        yield _wrong(problem)
    with Inspector(timeout_s) as inspector:
        for version in listing.versions:
            yield check_version(version, inspector)


def check_version(version: RepositoryVersion, inspector: Inspector) -> Finding:
    """One version, with a process that several can share."""
    model, number = version.key
    try:
        hosted = inspector.inspect(source_of(version))
    except ModelUnservable as error:
        return _wrong(Problem(model, number, version.path, error))
    wrong = misfit(version.manifest, hosted.signature)
    if wrong:
        manifest = version.path.parent.parent / MANIFEST_FILE
        return _wrong(Problem(model, number, manifest, ModelUnservable(f"{manifest}: {wrong}")))
    return Finding(model, number, version.path, hosted=hosted)


def _wrong(problem: Problem) -> Finding:
    # Messages end with what to do, after the last semicolon.
    what, _, remedy = problem.error.message.rpartition("; ")
    return Finding(problem.model, problem.version, problem.path, what or remedy, remedy if what else "")
