"""Runs batches on the replicas of a pool over the tensor stream."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from serving.backends.backend import Changed
from serving.backends.balance import choose, choose_for_suspect
from serving.backends.hedging import Attempt, HedgeBudget, hedged
from serving.backends.members import Members
from serving.backends.pool_options import PoolOptions
from serving.backends.replica import Replica
from serving.backends.replica_connection import Opening, ReplicaConnection
from serving.backends.room import Room
from serving.backends.waiting import PoolWaits, WaitNotes
from serving.errors import NotReady
from serving.inference import Batch, Hosted, Outputs, VersionKey
from serving.wire.waits_frame import encode_waits

# So many looks at one version cost less than a look at all, where these are many.
_FEW = 8


@dataclass(frozen=True, slots=True)
class ReplicaSeen:
    """A replica as people are shown it; `rows` are those it has not answered, `slots` the batches it runs at once."""

    replica: str
    address: str
    state: str
    rows: int
    slots: int = 0


class PoolClient:
    """A `Backend`: sends each batch to the replica with the least unanswered work, and follows who is in the pool.

    `hedged_batches` were sent to a second replica because the first was late; it answered `hedge_wins` of them first.
    """

    def __init__(
        self,
        pool: str,
        members: Members,
        secret: bytes,
        options: PoolOptions | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = pool
        self._members = members
        self._options = options or PoolOptions()
        name = f"{socket.gethostname()}:{os.getpid()}"
        self._room = Room(clock)
        self._opening = Opening(pool, name, secret, self._options, clock, self._changed, self._room.wake)
        self._replicas: dict[str, Replica] = {}
        self._leaving: list[Replica] = []
        self._callbacks: list[Changed] = []
        self._hosting: Mapping[VersionKey, Sequence[ReplicaConnection]] = {}
        self._hosted: Mapping[VersionKey, Hosted] = {}
        # Who lived when callbacks were called last, and how many batches each ran at once.
        self._told_of: list[tuple[ReplicaConnection, int]] = []
        self._turn = 0
        self._hedges = HedgeBudget(self._options.hedge_share) if self._options.hedge_share else None
        self.hedged_batches = self.hedge_wins = 0
        self._waits = PoolWaits()
        self._ticks_to_tell = 0
        self._ticking: asyncio.TimerHandle | None = None
        self._stopped = False

    async def start(self) -> None:
        """Begin to connect to whoever is in the pool."""
        self._members.on_change(self._follow)
        self._follow()
        self._tick()

    async def stop(self) -> None:
        """End every connection; batches in flight fail with `NotReady`."""
        self._stopped = True
        if self._ticking is not None:
            self._ticking.cancel()
        replicas = [*self._replicas.values(), *self._leaving]
        self._replicas = {}
        self._leaving = []
        await asyncio.gather(*(replica.stop() for replica in replicas))
        self._changed()

    @property
    def hedges(self) -> bool:
        """A late batch may be sent to a second replica."""
        return self._hedges is not None

    def hosted(self) -> Mapping[VersionKey, Hosted]:
        """What some replica can run now."""
        return self._hosted

    def refused(self) -> Mapping[VersionKey, str]:
        """What no replica can run and at least one could not load."""
        notes = {key: note for live in self._live() for key, note in live.catalogue.refused.items()}
        return {key: note for key, note in notes.items() if key not in self._hosted}

    def settled(self) -> bool:
        """At least one replica is done loading."""
        return any(live.catalogue.settled for live in self._live())

    def on_change(self, callback: Changed) -> None:
        """Call `callback` when a replica comes, goes, or hosts something else."""
        self._callbacks.append(callback)

    def slots(self, key: VersionKey) -> int:
        """So many for each replica that hosts the version."""
        # One more is on its way to each.
        connections = self._hosting.get(key, ())
        return self._runs(connections) + len(connections)

    def servers(self, key: VersionKey) -> int:
        """All but the one that is on its way to each replica."""
        return self._runs(self._hosting.get(key, ()))

    def shared_slots(self) -> tuple[int, int] | None:
        """Every replica hosts several versions."""
        live = self._live()
        runs = self._runs(live)
        return runs + len(live), runs

    def _runs(self, connections: Sequence[ReplicaConnection]) -> int:
        """What these replicas run at once: as configured, or as each has found out."""
        return sum([self._options.runs_per_replica or connection.catalogue.runs or 1 for connection in connections])

    def beside(self) -> bool:
        """In replicas."""
        return True

    def waits(self) -> WaitNotes:
        """Told to every replica once a second, so that whoever scales the pool hears of it."""
        return self._waits.queue()

    def replicas(self) -> list[ReplicaSeen]:
        """Everyone in the pool and how it stands with them."""
        return [self._seen(name, replica) for name, replica in sorted(self._replicas.items())]

    def _seen(self, name: str, replica: Replica) -> ReplicaSeen:
        connection = replica.connection
        rows, slots = (0, 0) if connection is None else (connection.rows, self._runs([connection]))
        return ReplicaSeen(name, replica.member.address, replica.state, rows, slots)

    async def run(self, batch: Batch) -> Outputs:
        """See `Backend.run`; a batch waits only while every replica is slow to read or held for a suspect."""
        if batch.alone:
            return await self._run_alone(batch)
        while True:
            candidates = self._candidates(batch.key)
            self._turn += 1
            connection = choose(candidates, self._turn)
            if connection is not None:
                if self._hedges is None or not batch.late_s:
                    return await connection.run(batch)
                return await self._run_hedged(self._hedges, connection, batch)
            await self._room.wait(batch.expires_at)

    async def _run_hedged(self, hedges: HedgeBudget, connection: ReplicaConnection, batch: Batch) -> Outputs:
        by_second: list[Outputs] = []

        async def second(other: ReplicaConnection) -> Outputs:
            outputs = await other.run(batch)
            by_second.append(outputs)
            return outputs

        def again() -> Attempt | None:
            others = [other for other in self._hosting.get(batch.key, ()) if other is not connection]
            other = choose(others, self._turn)
            if other is None or not hedges.spend():
                return None
            self.hedged_batches += 1
            return partial(second, other)

        hedges.earn()
        outputs = await hedged(partial(connection.run, batch), again, connection.work_s + batch.late_s)
        self.hedge_wins += bool(by_second) and outputs is by_second[0]
        return outputs

    async def _run_alone(self, batch: Batch) -> Outputs:
        # The rows of a batch that crashed come one right after the other: whoever waited while the one before had the
        # replica looks first, or would wait for all of them.
        await asyncio.sleep(0)
        while True:
            connection = self._reserve(batch.key)
            if connection is not None:
                try:
                    while connection.live and not connection.idle:
                        await self._room.wait(batch.expires_at)
                    if connection.live:
                        return await connection.run(batch)
                finally:
                    connection.release()
            else:
                await self._room.wait(batch.expires_at)

    def _reserve(self, key: VersionKey) -> ReplicaConnection | None:
        candidates = self._candidates(key)
        held = sum(candidate.reserved for candidate in candidates)
        # While one replica is left for everybody else, suspects do not take it.
        if held >= max(1, len(candidates) - 1):
            return None
        connection = choose_for_suspect(candidates)
        if connection is not None:
            connection.reserve()
        return connection

    def _candidates(self, key: VersionKey) -> Sequence[ReplicaConnection]:
        candidates = self._hosting.get(key)
        if not candidates:
            raise NotReady(f"no replica of pool {self._pool!r} hosts {key} now; try again in a moment")
        return candidates

    def _live(self) -> list[ReplicaConnection]:
        connections = (replica.connection for replica in self._replicas.values())
        return [connection for connection in connections if connection is not None and connection.live]

    def _follow(self) -> None:
        if self._stopped:
            return
        current = {member.replica: member for member in self._members.current()}
        for name, replica in list(self._replicas.items()):
            if name not in current or current[name].address != replica.member.address:
                self._leaving.append(self._replicas.pop(name))
                replica.retire()
        for name, member in current.items():
            if name not in self._replicas:
                replica = Replica(member, self._opening, self._members.failed)
                self._replicas[name] = replica
                replica.start()
        self._changed()

    def _changed(self) -> None:
        hosting: dict[VersionKey, list[ReplicaConnection]] = {}
        hosted: dict[VersionKey, Hosted] = {}
        for connection in self._live():
            for entry in connection.catalogue.slots.values():
                hosting.setdefault(entry.key, []).append(connection)
                # A batch may go to any of them: what one replica could not prove holds for all.
                if entry.key not in hosted or not entry.batchable:
                    hosted[entry.key] = entry
        news = self._news(hosting, hosted)
        self._hosting, self._hosted = hosting, hosted
        self._room.wake()
        for key in news:
            for callback in self._callbacks:
                callback(key)

    def _news(
        self, hosting: Mapping[VersionKey, Sequence[ReplicaConnection]], hosted: Mapping[VersionKey, Hosted]
    ) -> Sequence[VersionKey | None]:
        """The versions that callbacks have to look at, and None for all of them.

        A look at all of 1,000 takes some milliseconds of the loop, and versions are loaded one after another.
        """
        runs = [(connection, connection.catalogue.runs) for connection in self._live()]
        same, self._told_of = runs == self._told_of, runs
        changed = [
            key
            for key in {**self._hosting, **hosting}
            if self._hosted.get(key) is not hosted.get(key) or self._hosting.get(key) != hosting.get(key)
        ]
        return changed if same and 0 < len(changed) <= _FEW else (None,)

    def _tick(self) -> None:
        for replica in (*self._replicas.values(), *self._leaving):
            if replica.connection is not None:
                replica.connection.tick()
        self._tell()
        self._leaving = [replica for replica in self._leaving if not replica.gone]
        self._ticking = asyncio.get_running_loop().call_later(self._options.tick_s, self._tick)

    def _tell(self) -> None:
        self._ticks_to_tell -= 1
        if self._ticks_to_tell > 0:
            return
        self._ticks_to_tell = max(1, round(self._options.tell_s / self._options.tick_s))
        frame = encode_waits(self._waits.taken())
        for connection in self._live():
            connection.tell(frame)
