"""Which versions run in this process right now, written where another process can read it once this one has died.

What crashes in native code takes the process with it, so that nobody is left who could say which version it was.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from mmap import mmap
from pathlib import Path
from typing import Final

from serving.inference import VersionKey

_PLACES = 64
_KIND: Final = "I"
_BYTES = _PLACES * 4
# The loop's thread and the threads that run models have places of their own; threads that load take one of the others.
_LOADING_FROM = 32


class InFlight:
    """A place for each thread: 0, or the number of the version whose run is in progress.

    `places` is memory of a file, which outlives the process: two numbers are written for each batch, without a system
    call. Without a path nobody reads it.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._numbers: dict[VersionKey, int] = {}
        self._naming = threading.Lock()
        self.places = memoryview(_mapped(path) if path else bytearray(_BYTES)).cast(_KIND)

    def number_of(self, key: VersionKey) -> int:
        """What stands for a version; its name is written down before it runs for the first time."""
        with self._naming:
            number = self._numbers.get(key)
            if number is None:
                number = self._numbers[key] = len(self._numbers) + 1
                self._write(f"{number} {key.version} {key.model}\n")
        return number

    @contextmanager
    def loading(self, key: VersionKey) -> Iterator[None]:
        """While a version is loaded and warmed up, in any thread."""
        number = self.number_of(key)
        with self._naming:
            place = next((at for at in range(_LOADING_FROM, _PLACES) if not self.places[at]), -1)
            if place >= 0:
                self.places[place] = number
        try:
            yield
        finally:
            if place >= 0:
                self.places[place] = 0

    def _write(self, line: str) -> None:
        if self._path is not None:
            # A disk that is full costs the name of a version that has not crashed yet.
            with suppress(OSError), self._path.open("a", encoding="utf-8") as names:
                names.write(line)


def in_flight(path: Path) -> VersionKey | None:
    """The version in flight when its process died; None where there was none, or several, and any may be guilty."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    if len(data) < _BYTES:
        return None
    numbers = {*memoryview(data[:_BYTES]).cast(_KIND)} - {0}
    names = dict(_named(line) for line in data[_BYTES:].decode(errors="replace").splitlines() if line.count(" ") > 1)
    return names.get(numbers.pop()) if len(numbers) == 1 else None


def _named(line: str) -> tuple[int, VersionKey]:
    number, version, model = line.split(" ", 2)
    return int(number), VersionKey(model, int(version))


def _mapped(path: Path) -> mmap | bytearray:
    try:
        path.write_bytes(bytes(_BYTES))
        with path.open("r+b") as file:
            return mmap(file.fileno(), _BYTES)
    except OSError:
        # Nothing that is served needs it.
        return bytearray(_BYTES)
