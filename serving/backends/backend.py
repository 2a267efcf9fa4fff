"""Where a batch runs: one interface for the gateway's own process, a pool over the tensor stream, and Ray's handle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from serving.backends.waiting import WaitNotes
from serving.inference import Batch, Hosted, Outputs, VersionKey

# Hears of the one version that may be hosted otherwise now; None: any may.
Changed = Callable[[VersionKey | None], None]


class Backend(Protocol):
    """Runs batches on what it hosts.

    All methods are called on the loop's thread.
    """

    async def start(self) -> None:
        """Begin to host or to connect; returns before everything is ready."""

    async def stop(self) -> None:
        """End every task and connection it owns; batches still running fail with `NotReady`."""

    def hosted(self) -> Mapping[VersionKey, Hosted]:
        """What can run now."""

    def refused(self) -> Mapping[VersionKey, str]:
        """What could not be loaded, and why; the text is fit for callers."""

    def settled(self) -> bool:
        """Something lives here, and all that it was told to host is either hosted or refused."""

    def on_change(self, callback: Changed) -> None:
        """Call `callback` whenever `hosted`, `refused`, `settled` or `slots` may answer differently."""

    def slots(self, key: VersionKey) -> int:
        """How many batches of this version may be in flight at once; 0 when nothing that lives hosts it."""

    def servers(self, key: VersionKey) -> int:
        """How many of those run at the same time; the others are on their way."""

    def shared_slots(self) -> tuple[int, int] | None:
        """Slots and servers of all versions together; None where each has its own."""

    def beside(self) -> bool:
        """Batches run in other processes, so that the loop may sleep until their outputs come."""

    def waits(self) -> WaitNotes | None:
        """Where one more queue notes how long its rows waited; None where that scales nothing."""

    async def run(self, batch: Batch) -> Outputs:
        """Outputs with as many rows as the batch, in the signature's order.

        Cancelling the await tells the model's side that nobody waits any more.

        Raises:
            ModelFailed: the model raised, or answered with other rows than it was given.
            NotReady: nothing that lives hosts the version.
            ReplicaLost: the replica went away while it held the batch (retries on another one are the caller's).
            Overloaded: nothing can be written to any replica now.
        """
