"""A backend for tests: answers each row with itself, and fails, hangs or loses replicas when told to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from struct import pack

from serving.backends.backend import Changed
from serving.backends.waiting import WaitNotes
from serving.errors import ModelFailed, NotReady, ReplicaLost
from serving.inference import Batch, Hosted, Outputs, Signature, Tensor, TensorSpec, VersionKey

KEY = VersionKey("echo", 1)
SIGNATURE = Signature((TensorSpec("x", "FP32", (-1, 2)),), (TensorSpec("y", "FP32", (-1, 2)),))


def row_of(value: float) -> bytes:
    """The bytes of one row of the echo model: the value, twice."""
    return pack("<2f", value, value)


class EchoBackend:
    """Hosts `hosted` with `free_slots` slots; `batches` keeps the rows of every batch in order.

    Rows in `bad` make the model fail, rows in `deadly` take the replica down with them. Versions in `away` are hosted,
    and on no replica when they are to run. While `held` is set, batches wait.
    """

    def __init__(self, hosted: Sequence[Hosted] = (Hosted(KEY, SIGNATURE, batchable=True),), slots: int = 1) -> None:
        self.free_slots = slots
        self.batches: list[bytes] = []
        self.alone: list[bytes] = []
        self.cancelled = 0
        self.crashes = 0
        self.bad: set[bytes] = set()
        self.deadly: set[bytes] = set()
        self.away: set[VersionKey] = set()
        self.replicas = 100
        self.gate = asyncio.Event()
        self.gate.set()
        self._hosted = {each.key: each for each in hosted}
        self._changed: list[Changed] = []

    async def start(self) -> None:
        """Nothing to start."""

    async def stop(self) -> None:
        """Nothing to stop."""

    def hosted(self) -> Mapping[VersionKey, Hosted]:
        """What the test put there, while a replica lives."""
        return self._hosted if self.replicas > 0 else {}

    def refused(self) -> Mapping[VersionKey, str]:
        """Nothing."""
        return {}

    def settled(self) -> bool:
        """A replica lives."""
        return self.replicas > 0

    def on_change(self, callback: Changed) -> None:
        """Keep the callback."""
        self._changed.append(callback)

    def slots(self, key: VersionKey) -> int:
        """As many as the test says."""
        return self._free(key)

    def servers(self, key: VersionKey) -> int:
        """As many as slots."""
        return self._free(key)

    def shared_slots(self) -> tuple[int, int] | None:
        """Each version has its own."""
        return None

    def beside(self) -> bool:
        """As replicas do."""
        return True

    def waits(self) -> WaitNotes | None:
        """Nothing scales."""
        return None

    def changed(self, key: VersionKey | None = None) -> None:
        """Tell everybody to look again, at this version or at all."""
        for callback in self._changed:
            callback(key)

    def host(self, key: VersionKey, hosted: Hosted | None) -> None:
        """Host it from now on, or no more, and tell everybody."""
        self._hosted.pop(key, None)
        if hosted is not None:
            self._hosted[key] = hosted
        self.changed(key)

    async def run(self, batch: Batch) -> Outputs:
        """Each row answers with itself."""
        if self.replicas <= 0 or batch.key in self.away:
            raise NotReady("no replica")
        data = batch.inputs[0].joined()
        self.batches.append(data)
        if batch.alone:
            self.alone.append(data)
        try:
            await self.gate.wait()
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self._fail(data, batch.rows)
        shape = (batch.rows, 2) if batch.rows else batch.inputs[0].shape
        return Outputs((Tensor("y", "FP32", shape, data),))

    def _free(self, key: VersionKey) -> int:
        return self.free_slots if self.replicas > 0 and key in self._hosted else 0

    def _fail(self, data: bytes, rows: int) -> None:
        parts = {data[start : start + 8] for start in range(0, max(rows, 1) * 8, 8)}
        if parts & self.deadly:
            self.crashes += 1
            self.replicas -= 1
            self.changed()
            raise ReplicaLost("the replica crashed")
        if parts & self.bad:
            raise ModelFailed("the model does not like a row")
