"""A host whose rows say what is to happen to them, and which writes down every run."""

from __future__ import annotations

import os
import signal
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from serving.errors import ModelFailed
from serving.inference import Batch, Hosted, Signature, Stacked, Tensor, TensorSpec, VersionKey

KEY = VersionKey("double", 1)
WIDE = VersionKey("wide", 1)
SIGNATURE = Signature((TensorSpec("x", "FP32", (-1, 1)),), (TensorSpec("y", "FP32", (-1, 1)),))
ECHO = Signature((TensorSpec("x", "UINT8", (-1, -1)),), (TensorSpec("y", "UINT8", (-1, -1)),))

FAILS = -13.0
CRASHES = -666.0
SHORT = -777.0


def sleeps(seconds: float) -> float:
    """A row whose run takes so long."""
    return 1000.0 + seconds


class DoublingHost:
    """Answers 2x; see the rows above. A line of `journal` is one run: its rows."""

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._callbacks: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._running = 0
        self.most_at_once = 0
        self.hosting = {KEY: Hosted(KEY, SIGNATURE, batchable=True), WIDE: Hosted(WIDE, ECHO, batchable=True)}
        self.refusing: dict[VersionKey, str] = {}

    def catalogue(self) -> Mapping[VersionKey, Hosted]:
        return self.hosting

    def refused(self) -> Mapping[VersionKey, str]:
        return self.refusing

    def settled(self) -> bool:
        return True

    def on_change(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def host(self, *keys: VersionKey) -> None:
        """Exactly these from now on."""
        self.hosting = {key: Hosted(key, SIGNATURE, batchable=True) for key in keys}
        for callback in self._callbacks:
            callback()

    def run(self, key: VersionKey, inputs: Sequence[Tensor], rows: int) -> tuple[Tensor, ...]:
        with self._lock:
            self._running += 1
            self.most_at_once = max(self.most_at_once, self._running)
        try:
            return self._run(key, inputs[0])
        finally:
            with self._lock:
                self._running -= 1

    def _note(self, rows: str) -> None:
        with self._journal.open("a") as journal:
            journal.write(rows + "\n")

    def _run(self, key: VersionKey, x: Tensor) -> tuple[Tensor, ...]:
        if key == WIDE:
            self._note("wide")
            return (Tensor("y", "UINT8", x.shape, x.data),)
        values = [value for (value,) in struct.iter_unpack("<f", x.data)]
        self._note(" ".join(f"{value:g}" for value in values))
        for value in values:
            if value == CRASHES:
                os.kill(os.getpid(), signal.SIGKILL)
            if value == FAILS:
                raise ModelFailed("thirteen is refused")
            if 1000 < value < 2000:
                time.sleep(value - 1000)
        if SHORT in values:
            values.pop()
        return (Tensor("y", "FP32", (len(values), 1), struct.pack(f"<{len(values)}f", *(2 * v for v in values))),)


def batch(*values: float, alone: bool = False, within_s: float = 10.0) -> Batch:
    """Rows for the doubling version, believed to take a millisecond each."""
    parts = [struct.pack("<f", value) for value in values]
    x = Stacked("x", "FP32", (len(values), 1), list(parts))
    work_s = 0.001 * len(values)
    return Batch(KEY, (x,), len(values), time.monotonic() + within_s, alone=alone, work_s=work_s, late_s=5 * work_s)


def wide_batch(size: int, within_s: float = 10.0) -> Batch:
    """One row of so many bytes for the version that echoes."""
    return Batch(WIDE, (Stacked("x", "UINT8", (1, size), [bytes(size)]),), 1, time.monotonic() + within_s)


def values_of(tensors: Sequence[Tensor]) -> list[float]:
    """The doubled rows."""
    return [value for (value,) in struct.iter_unpack("<f", tensors[0].data)]


def runs(journal: Path) -> list[str]:
    """The rows of every run so far."""
    return journal.read_text().splitlines() if journal.exists() else []
