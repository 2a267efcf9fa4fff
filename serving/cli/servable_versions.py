"""Which versions of a repository go into a session, so that the one that answers by default is one that can."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby

from serving.config.settings import Settings
from serving.errors import ModelUnservable
from serving.registry.repository import Listing, Problem, RepositoryVersion
from serving.runtime.check import check_version
from serving.runtime.inspector import Inspector
from serving.runtime.model_file import ModelFile

Objection = Callable[[RepositoryVersion], ModelUnservable | None]


def servable(settings: Settings, listing: Listing) -> Listing:
    """The listing without what cannot be served, as far as that is known before a replica tries.

    Every file is looked at. A version is loaded, in a process of its own, only where a lower one would have to answer
    in its place: that takes 0.4 s, and a version that fails later is refused by whoever hosts it.
    """
    with Inspector() as inspector:
        return sifted(settings, listing, file_objection, lambda version: _loading_objection(version, inspector))


def sifted(settings: Settings, listing: Listing, in_its_file: Objection, in_loading: Objection) -> Listing:
    """The same with the two objections given."""
    kept: list[RepositoryVersion] = []
    problems = list(listing.problems)
    for model, group in groupby(listing.versions, lambda version: version.key.model):
        versions = list(group)
        whole = [version for version in versions if not _refused(version, in_its_file(version), problems)]
        chosen = settings.model(model).routes.stable is not None
        while not chosen and len(whole) > 1 and _refused(whole[-1], in_loading(whole[-1]), problems):
            whole.pop()
        kept += whole
    return Listing(tuple(kept), tuple(problems))


def file_objection(version: RepositoryVersion) -> ModelUnservable | None:
    """What can be seen without loading it: cut off, no ONNX, external data that is missing or outside the folder."""
    try:
        ModelFile.read(version.path).check_external_data()
    except ModelUnservable as error:
        return error
    return None


def _loading_objection(version: RepositoryVersion, inspector: Inspector) -> ModelUnservable | None:
    finding = check_version(version, inspector)
    return None if finding.ok else ModelUnservable(finding.text)


def _refused(version: RepositoryVersion, objection: ModelUnservable | None, problems: list[Problem]) -> bool:
    if objection is not None:
        problems.append(Problem(version.key.model, version.key.version, version.path, objection))
    return objection is not None
