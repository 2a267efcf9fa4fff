"""What a run knows between two starts: a folder beside the output with the answers so far and a journal of them.

`answers.arrow` is an Arrow IPC stream to which answers are appended; `journal.json` says how many of its bytes count,
and for how many rows. It is replaced whole, after the bytes have reached the disk: what was appended since is cut off
at the next start, and its rows are asked again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import pyarrow as pa

from serving.bulk.stopped import BulkStopped
from serving.errors import BadRequest

_FORMAT = 1
_JOURNAL = "journal.json"
_ANSWERS = "answers.arrow"
_JOINED_BATCHES = 64
_JOINED_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Identity:
    """What must be the same for a run to go on."""

    file: str
    size: int
    changed_ns: int
    model: str
    version: int | None
    asked: str
    answers: str

    @classmethod
    def of(cls, path: Path, model: str, version: int | None, *, asked: object, answers: pa.Schema) -> Identity:
        """`asked` says which columns become what, `answers` what is kept of each answer."""
        found = path.stat()
        return cls(str(path.resolve()), found.st_size, found.st_mtime_ns, model, version, repr(asked), str(answers))


@dataclass(frozen=True, slots=True)
class Progress:
    """Rows whose answers are on disk, and the bytes that hold them."""

    rows: int = 0
    rejected: int = 0
    bytes: int = 0
    first: str = ""


class State:
    """The folder of one run, which holds it alone."""

    def __init__(self, output: Path) -> None:
        self.folder = output.with_name(f"{output.name}.partial")
        self.progress = Progress()
        self._files = contextlib.ExitStack()
        self._answers: BinaryIO | None = None
        self._identity: Identity | None = None

    def begin(self, identity: Identity, schema: pa.Schema, *, restart: bool) -> None:
        """Take the folder, and go on where it ends.

        Raises:
            BadRequest: it is another run's: of another file or model, or one that is running.
        """
        try:
            self.folder.mkdir(exist_ok=True)
            self._lock()
            before = None if restart else self._journal()
            if before is not None:
                self._refuse_another(Identity(**before["identity"]), identity)
                self.progress = Progress(**before["progress"])
            self._identity = identity
            self._open(schema)
        except BaseException:
            self.close()
            raise
        self.save()

    def _open(self, schema: pa.Schema) -> None:
        self._answers = self._files.enter_context((self.folder / _ANSWERS).open("ab"))
        self._answers.truncate(self.progress.bytes)
        if not self.progress.bytes:
            size = self._answers.write(schema.serialize().to_pybytes())
            self.progress = replace(self.progress, bytes=size)

    def add(self, batch: pa.RecordBatch, rejected: int, first: str) -> None:
        """Append the answers of the next rows; they count once they are saved."""
        if self._answers is None:
            raise RuntimeError("begin() comes first")
        before = self.progress
        size = self._answers.write(batch.serialize())
        self.progress = Progress(
            before.rows + batch.num_rows, before.rejected + rejected, before.bytes + size, before.first or first
        )

    def save(self) -> None:
        """What was added counts from now on, whatever happens."""
        if self._answers is None or self._identity is None:
            return
        self._answers.flush()
        os.fdatasync(self._answers.fileno())
        document = {"format": _FORMAT, "identity": asdict(self._identity), "progress": asdict(self.progress)}
        fresh = self.folder / f"{_JOURNAL}.new"
        with fresh.open("wb") as file:
            file.write(orjson.dumps(document))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.folder / _JOURNAL)
        sync_folder(self.folder)

    def answers(self) -> Iterator[pa.RecordBatch]:
        """Everything that counts, in the order of the rows, joined to batches of some thousand rows."""
        with pa.OSFile(str(self.folder / _ANSWERS), "rb") as file, pa.ipc.open_stream(file) as stream:
            waiting: list[pa.RecordBatch] = []
            began = file.tell()
            while (at := file.tell()) < self.progress.bytes:
                waiting.append(stream.read_next_batch())
                if len(waiting) >= _JOINED_BATCHES or at - began >= _JOINED_BYTES:
                    yield _joined(waiting)
                    waiting, began = [], at
            if waiting:
                yield _joined(waiting)

    def refuse_changed(self) -> None:
        """Raise BulkStopped where the table changed while it was read: rows and answers would not belong together."""
        now = self._identity
        if now is None:
            return
        found = Path(now.file).stat()
        if (found.st_size, found.st_mtime_ns) != (now.size, now.changed_ns):
            raise BulkStopped(f"{now.file} was changed meanwhile, so that its answers are not of one table")

    def close(self) -> None:
        """Let the folder go; it stays."""
        self._files.close()

    def remove(self) -> None:
        """The output is there: nothing of the run is needed any more."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.close()

    def _lock(self) -> None:
        lock = self._files.enter_context((self.folder / "lock").open("w"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadRequest(f"another run writes {self.folder}; wait for it, or name another --out") from None

    def _journal(self) -> Mapping[str, Any] | None:
        path = self.folder / _JOURNAL
        if not path.exists():
            return None
        found: Mapping[str, Any] = {}
        try:
            found = orjson.loads(path.read_bytes())
            known = found["format"] == _FORMAT
        except (ValueError, KeyError, TypeError):
            known = False
        if not known:
            raise BadRequest(f"{path} was not written by this release; begin anew with --restart")
        return found

    def _refuse_another(self, was: Identity, now: Identity) -> None:
        if was == now:
            return
        if was.model != now.model or was.version != now.version:
            what = f"it is of {_named(was)}, and now {_named(now)} is asked"
        elif was.file != now.file:
            what = f"it is of {was.file}"
        elif (was.size, was.changed_ns) != (now.size, now.changed_ns):
            what = f"{now.file} has changed since"
        else:
            what = "the model or the columns it is sent are others now"
        raise BadRequest(
            f"{self.folder} holds an unfinished run that cannot go on: {what}; begin anew with --restart, or name "
            "another --out"
        )


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    # A copy: the file under the batches may be gone when they are written.
    return pa.concat_batches(batches)


def sync_folder(folder: Path) -> None:
    """The folder's names reach the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _named(one: Identity) -> str:
    return one.model if one.version is None else f"{one.model}/{one.version}"
