"""A version that is to be loaded while a session runs, proven to be loadable."""

from __future__ import annotations

from pathlib import Path

from serving.config.settings import Settings
from serving.errors import BadRequest, ModelUnservable, UnknownModel
from serving.inference import VersionKey
from serving.registry.repository import Repository, RepositoryVersion
from serving.runtime.check import check_version
from serving.runtime.inspector import Inspector


def servable_version(settings: Settings, key: VersionKey) -> RepositoryVersion:
    """Found in the repository and loaded once in a process of its own, since loading can crash or never end.

    Raises:
        UnknownModel: the repository has no such version.
        BadRequest: the session has no repository.
        ModelUnservable: it cannot be loaded: file, reason and remedy.
    """
    root = settings.repository.models_dir
    if root is None:
        raise BadRequest("this session has no model repository to load from; start it with --models DIR")
    listing = Repository(Path(root)).listing()
    found = next((version for version in listing.versions if version.key == key), None)
    if found is None:
        for problem in listing.problems:
            if problem.model == key.model and problem.version in (None, key.version):
                raise problem.error
        known = ", ".join(str(version.key) for version in listing.of(key.model)) or "no version of it"
        raise UnknownModel(f"the repository {root} has no {key}; it has {known}")
    with Inspector() as inspector:
        finding = check_version(found, inspector)
    if not finding.ok:
        raise ModelUnservable(finding.text)
    return found
