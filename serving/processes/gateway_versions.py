"""What a gateway worker is asked about versions while it serves: load one, let one go, tell what is hosted."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from serving.backends.backend import Backend
from serving.backends.in_process import InProcess
from serving.backends.pool_client import PoolClient
from serving.config.settings import Settings
from serving.errors import BadRequest, ModelUnservable, NotReady
from serving.inference import TensorSpec, VersionKey
from serving.processes.model_sources import model_sources, places
from serving.processes.pool_backends import pools_of
from serving.processes.session_plan import ServedModel
from serving.request_path.variants import Variants
from serving.routing.table import RouteTable
from serving.runtime import freed_memory

log = logging.getLogger(__name__)

_LOOK_S = 0.02
_FEATURES_S = 0.1
# What a pool's replicas say of a version may be from before they were told to load it.
_BELIEVED_AFTER_S = 1.0
_HOSTED_WITHIN_S = 60.0
# Requests may have asked for more time than their version's deadline; those left by then are told to try again.
_EMPTY_WITHIN_S = 30.0


class GatewayVersions:
    """`backends` are the worker's own, and shared with its other parts; what it does not host itself it only waits for.

    `make` gives one for a pool that no version was placed in when the worker began.
    """

    def __init__(
        self,
        settings: Settings,
        backends: dict[str, Backend],
        variants: Variants,
        make: Callable[[str], Backend],
    ) -> None:
        self._settings = settings
        self._backends = backends
        self._variants = variants
        self._make = make
        self._started = False
        self._starting: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Start what hosts versions."""
        self._started = True
        for backend in list(self._backends.values()):
            await backend.start()

    def follow(self, table: RouteTable) -> None:
        """Pools that a table leads to are asked from now on, also those that no configuration of this gateway names."""
        for pool in pools_of(table):
            if pool in self._backends:
                continue
            try:
                backend = self._known(pool)
            except ModelUnservable as error:
                log.warning("the routing table leads to a pool that cannot be asked: %s", error.message)
                continue
            if self._started:
                task = asyncio.create_task(backend.start())
                self._starting.add(task)
                task.add_done_callback(self._starting.discard)

    async def obey(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """Carry out one question of the supervisor.

        Raises:
            ModelUnservable: the version was refused, with file, reason and remedy.
            NotReady: nothing hosted it in time.
            BadRequest: the question is of a newer release.
        """
        match asked["what"]:
            case "load":
                await self._load(ServedModel(**asked["served"]))
            case "unload":
                await self._unload(VersionKey(asked["model"], asked["version"]))
            case "leave":
                await self._left(VersionKey(asked["model"], asked["version"]))
            case "describe":
                return self._described()
            case other:
                raise BadRequest(f"this gateway worker does not know {other!r}; roll the workers")
        return {}

    async def _load(self, served: ServedModel) -> None:
        for pool in places(self._settings, served):
            await self._load_into(pool, served)

    async def _load_into(self, pool: str, served: ServedModel) -> None:
        key = VersionKey(served.model, served.version)
        backend = self._backends.get(pool) or await self._begun(pool)
        if key in backend.hosted():
            return
        if not isinstance(backend, InProcess):
            await _hosted(backend, key)
            return
        with freed_memory.kept_little():
            for source in model_sources(self._settings, [served], pool):
                backend.load(source)
            await _hosted(backend, key)
            # What loading took beside the model itself: as much again.
            await asyncio.to_thread(freed_memory.give_back)

    async def _begun(self, pool: str) -> Backend:
        # Known before it starts: two versions of one pool may be loaded at once.
        backend = self._known(pool)
        await backend.start()
        return backend

    def _known(self, pool: str) -> Backend:
        backend = self._make(pool)
        self._backends[pool] = backend
        self._variants.follow(backend)
        return backend

    async def _unload(self, key: VersionKey) -> None:
        # Those whose features are being read are in no queue yet.
        await asyncio.sleep(_FEATURES_S)
        ends_at = time.monotonic() + _EMPTY_WITHIN_S
        # Nobody tells when a queue has run empty, and the path of requests need not learn to.
        while self._variants.busy(key) and time.monotonic() < ends_at:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_S)
        with freed_memory.kept_little():
            for backend in self._backends.values():
                if isinstance(backend, InProcess):
                    backend.unload(key)
            # A variant and its queue know each other, and the collector of a worker comes by rarely.
            freed_memory.collect()
            await asyncio.to_thread(freed_memory.give_back)

    async def _left(self, key: VersionKey) -> None:
        """Nothing waits or runs where the version was asked for before its route led to another pool."""
        await asyncio.sleep(_FEATURES_S)
        ends_at = time.monotonic() + _EMPTY_WITHIN_S
        while self._variants.leaving(key) and time.monotonic() < ends_at:  # noqa: ASYNC110 - see _unload
            await asyncio.sleep(_LOOK_S)

    def _described(self) -> Mapping[str, Any]:
        hosted = {str(key): facts for backend in self._backends.values() for key, facts in backend.hosted().items()}
        refused = {str(key): why for backend in self._backends.values() for key, why in backend.refused().items()}
        return {
            "hosted": {
                name: {
                    "batchable": facts.batchable,
                    "note": facts.note,
                    "inputs": [_tensor(spec) for spec in facts.signature.all_inputs],
                    "outputs": [_tensor(spec) for spec in facts.signature.outputs],
                }
                for name, facts in hosted.items()
            },
            "refused": refused,
            "pools": {name: _replicas(backend) for name, backend in self._backends.items()},
        }


async def _hosted(backend: Backend, key: VersionKey) -> None:
    began_at = time.monotonic()
    while key not in backend.hosted():
        waited_s = time.monotonic() - began_at
        refused = backend.refused().get(key)
        if refused and (isinstance(backend, InProcess) or waited_s > _BELIEVED_AFTER_S):
            raise ModelUnservable(refused)
        if waited_s > _HOSTED_WITHIN_S:
            raise NotReady(f"{key} was not loaded within {_HOSTED_WITHIN_S:g} s; see the log of its pool")
        await asyncio.sleep(_LOOK_S)


def _replicas(backend: Backend) -> list[dict[str, Any]]:
    if not isinstance(backend, PoolClient):
        return []
    return [
        {"replica": seen.replica, "address": seen.address, "state": seen.state, "rows": seen.rows, "slots": seen.slots}
        for seen in backend.replicas()
    ]


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape), "optional": spec.optional}
