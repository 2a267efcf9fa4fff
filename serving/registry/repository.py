"""A folder of models, `DIR/<model>/<version>/model.onnx`: what it holds, and what is wrong with it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from serving.errors import ConfigInvalid, ModelUnservable
from serving.inference import VersionKey
from serving.registry.manifest import Manifest, read_manifest
from serving.registry.versions import HIGHEST, default_version, parse_version

MODEL_FILE = "model.onnx"
MANIFEST_FILE = "model.yaml"

# A name stands in addresses, in metric labels and on one line of a table.
_LONGEST_NAME = 128


@dataclass(frozen=True, slots=True)
class RepositoryVersion:
    """A version that may be servable: its file is there, and its model's manifest is valid."""

    key: VersionKey
    path: Path
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not served; `version` is None where the whole model is concerned."""

    model: str
    version: int | None
    path: Path
    error: ModelUnservable

    @property
    def name(self) -> str:
        """`model/version`, or `model`."""
        return self.model if self.version is None else f"{self.model}/{self.version}"


@dataclass(frozen=True, slots=True)
class Listing:
    """One look at a repository, sorted by model and version."""

    versions: tuple[RepositoryVersion, ...]
    problems: tuple[Problem, ...]

    def of(self, model: str) -> tuple[RepositoryVersion, ...]:
        """The versions of one model, the lowest first."""
        return tuple(version for version in self.versions if version.key.model == model)

    def default(self, model: str) -> int | None:
        """The version that answers when a request names none."""
        return default_version(version.key.version for version in self.of(model))


class Repository:
    """Reads the layout that Triton, OVMS and TF Serving share; never loads a model."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def listing(self) -> Listing:
        """All versions and all problems: one that is wrong hides no other.

        Hidden entries, files beside the models, and folders without anything of a model in them are passed over.

        Raises:
            ConfigInvalid: there is no such folder, or it cannot be read.
        """
        versions: list[RepositoryVersion] = []
        problems: list[Problem] = []
        for folder in self._folders():
            for found in _model(folder):
                if isinstance(found, Problem):
                    problems.append(found)
                else:
                    versions.append(found)
        return Listing(
            tuple(sorted(versions, key=lambda version: version.key)),
            tuple(sorted(problems, key=lambda problem: (problem.model, problem.version or 0))),
        )

    def _folders(self) -> list[Path]:
        try:
            return [folder for folder in self.root.iterdir() if not _hidden(folder) and folder.is_dir()]
        except FileNotFoundError as error:
            raise ConfigInvalid(
                f"model repository {self.root}: there is no such folder; it holds <model>/<version>/{MODEL_FILE}"
            ) from error
        except OSError as error:
            raise ConfigInvalid(f"model repository {self.root}: {error.strerror}; name a readable folder") from error


def _model(folder: Path) -> Iterator[RepositoryVersion | Problem]:
    name = folder.name
    try:
        inside = sorted(entry for entry in folder.iterdir() if not _hidden(entry))
        found = list(_versions(folder, inside))
    except OSError as error:
        yield _problem(folder, None, f"cannot be read ({error.strerror}); make it readable")
        return
    if not found and not any(entry.name == MANIFEST_FILE for entry in inside):
        return
    bad_name = name_problem(name)
    if bad_name:
        yield Problem(ascii(name)[1:-1], None, folder, ModelUnservable(f"{ascii(str(folder))[1:-1]}: {bad_name}"))
        return
    try:
        manifest = _manifest(folder, inside)
    except ModelUnservable as error:
        yield Problem(name, None, folder / MANIFEST_FILE, error)
        return
    if not found:
        yield _problem(folder, None, f"no version in it; put the model at 1/{MODEL_FILE}")
    for version in found:
        if isinstance(version, Problem):
            yield version
        else:
            yield RepositoryVersion(version, folder / str(version.version) / MODEL_FILE, manifest)


def _versions(folder: Path, inside: list[Path]) -> Iterator[VersionKey | Problem]:
    for entry in inside:
        if not entry.is_dir():
            if entry.suffix == ".onnx":
                yield _problem(entry, None, f"it is in no version's folder; move it to 1/{MODEL_FILE}", folder.name)
            continue
        version = parse_version(entry.name)
        models = sorted(file.name for file in entry.glob("*.onnx"))
        if version is None:
            if models:
                text = f"{entry.name!r} is no version; rename the folder to a whole number from 1 to {HIGHEST}"
                yield _problem(entry, None, text, folder.name)
        elif (entry / MODEL_FILE).is_file():
            yield VersionKey(folder.name, version)
        else:
            others = f"rename {models[0]} to {MODEL_FILE}" if models else f"put {MODEL_FILE} there"
            yield _problem(entry, version, f"there is no file {MODEL_FILE}; {others}", folder.name)


def _manifest(folder: Path, inside: list[Path]) -> Manifest:
    for entry in inside:
        if entry.name in ("model.yml", "model.json"):
            raise ModelUnservable(f"{entry}: it would not be read; rename it to {MANIFEST_FILE}")
    return read_manifest(folder / MANIFEST_FILE)


def name_problem(name: str) -> str:
    """Why a model cannot be named so; empty where it can."""
    if not name or name.startswith(".") or "/" in name:
        return "it is empty, hidden or a path; use a plain name"
    if len(name) > _LONGEST_NAME:
        return f"the name has {len(name)} characters; rename the folder to at most {_LONGEST_NAME}"
    # "C" are control characters, invisible ones, and bytes of a file name that are no UTF-8.
    if any(unicodedata.category(character).startswith("C") for character in name) or name != name.strip():
        return "the name has characters that cannot be seen; rename the folder"
    return ""


def _problem(path: Path, version: int | None, text: str, model: str = "") -> Problem:
    return Problem(model or path.name, version, path, ModelUnservable(f"{path}: {text}"))


def _hidden(entry: Path) -> bool:
    return entry.name.startswith(".")
