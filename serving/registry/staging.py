"""New versions that come as bytes: written beside the models, out of sight, and moved into place whole."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import time
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from serving.errors import BadRequest, InUse, NotPermitted
from serving.registry.repository import MODEL_FILE, name_problem
from serving.registry.versions import parse_version

# Hidden, so that no listing takes it for a model; in the repository, so that moving it is one step.
_STAGED = ".staged-"
# What a process that was killed left behind.
_STALE_S = 3_600.0
_MOST_FILES = 256
_LONGEST_PATH = 512


def stage(root: Path, model: str, files: Mapping[str, bytes]) -> str:
    """Write the files, by their paths below the model's folder (`1/model.onnx`); the name to adopt them by.

    Raises:
        BadRequest: a name or a path that is none, or a version without a model.
        NotPermitted: the repository cannot be written.
    """
    _check(model, files)
    folder = root / (_STAGED + secrets.token_hex(8))
    try:
        _sweep(root)
        folder.mkdir()
        for path, content in files.items():
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise _read_only(root, error) from error
    return folder.name


def adopt(root: Path, model: str, staged: str) -> list[int]:
    """Move every staged version into its model's folder; which versions they are.

    Raises:
        InUse: a version of this number is there already: what was served under a number stays what it was.
        NotPermitted: the repository cannot be written, or the model's folder leads out of it.
    """
    folder, place = _folder(root, staged), root / model
    if not place.resolve().is_relative_to(root.resolve()):
        raise NotPermitted(f"the folder of model {model!r} leads out of the repository; nothing is written through it")
    versions = sorted(int(version.name) for version in folder.iterdir())
    for version in versions:
        if (place / str(version)).exists():
            raise InUse(f"the repository has {model}/{version} already; give new files a version number of their own")
    try:
        place.mkdir(exist_ok=True)
        for version in versions:
            (folder / str(version)).rename(place / str(version))
    except OSError as error:
        raise _read_only(root, error) from error
    discard(root, staged)
    return versions


def discard(root: Path, staged: str) -> None:
    """Remove what was staged and not adopted."""
    shutil.rmtree(_folder(root, staged), ignore_errors=True)


def remove(root: Path, model: str, versions: list[int]) -> None:
    """Take versions out again that were adopted and cannot be loaded, and the model's folder if nothing is left."""
    for version in versions:
        shutil.rmtree(root / model / str(version), ignore_errors=True)
    with contextlib.suppress(OSError):
        (root / model).rmdir()


def _folder(root: Path, staged: str) -> Path:
    """Of what `stage` named, and of nothing else: an empty name would be the repository itself."""
    name = Path(staged).name
    if not name.startswith(_STAGED):
        raise ValueError(f"{staged!r} was not staged; names of what was begin with {_STAGED}")
    return root / name


def _check(model: str, files: Mapping[str, bytes]) -> None:
    problem = name_problem(model)
    if problem:
        raise BadRequest(f"no folder can be named {model!r}: {problem}")
    if len(files) > _MOST_FILES:
        raise BadRequest(f"{len(files)} files are more than the {_MOST_FILES} that one load may have")
    for path in files:
        parts = path.split("/")
        plain = all(part not in ("", ".", "..") and part.isprintable() and "\\" not in part for part in parts)
        if not plain or len(parts) < 2 or len(path) > _LONGEST_PATH or parse_version(parts[0]) is None:  # noqa: PLR2004
            raise BadRequest(
                f"file {path!r:.200}: a path is <version>/<file>, such as 1/{MODEL_FILE}, without . and .."
            )
    for version in {PurePosixPath(path).parts[0] for path in files}:
        if f"{version}/{MODEL_FILE}" not in files:
            raise BadRequest(f"version {version} comes without {MODEL_FILE}; send file:{version}/{MODEL_FILE}")
    _refuse_both(files)


def _refuse_both(files: Mapping[str, bytes]) -> None:
    """A path that is a file here and a folder there."""
    for path in files:
        inside = next((other for other in files if other.startswith(f"{path}/")), None)
        if inside is not None:
            raise BadRequest(f"file {path!r} cannot be beside {inside!r}: it would be a file and a folder")


def _sweep(root: Path) -> None:
    for left in root.glob(f"{_STAGED}*"):
        if time.time() - left.stat().st_mtime > _STALE_S:
            shutil.rmtree(left, ignore_errors=True)


def _read_only(root: Path, error: OSError) -> NotPermitted:
    return NotPermitted(f"the repository {root} cannot be written: {error.strerror}; load from it, without files")
