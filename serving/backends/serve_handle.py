"""Runs batches over Ray Serve's own handle: for comparison, and where the tensor stream cannot go.

A call costs 3.9 to 5.5 ms where the stream takes 0.05 ms, and the process joins the cluster as a driver.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from serving.backends.backend import Changed
from serving.backends.waiting import WaitNotes
from serving.errors import DeadlineExceeded, ModelFailed, NotReady, Overloaded, ReplicaLost, ServingError, StreamRefused
from serving.inference import Batch, Hosted, Outputs, VersionKey
from serving.wire.batch_frame import decode_failed, decode_result, encode_run, run_s_of, waited_s_of
from serving.wire.catalogue import Catalogue, decode_catalogue
from serving.wire.frame import DEFAULT_FRAME_BYTES, RESULT, Frame
from serving.wire.frame_reader import FrameReader

# Ray reads it when it is imported; its default of 4 MiB is reached by 64 rows of 16k floats.
os.environ.setdefault("RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH", str(DEFAULT_FRAME_BYTES))

import ray
from ray import serve
from ray.exceptions import RayActorError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HandleOptions:
    """`application` and `deployment` are Serve's names; `address` is the cluster's, "" for the one already joined.

    `slots_per_replica` is how many batches may be on their way to each replica. Serve's own limit must never be
    reached: its router would poll then, 25 ms to 500 ms apart.
    """

    application: str
    deployment: str = "pool"
    address: str = ""
    slots_per_replica: int = 2
    look_s: float = 1.0


class ServeHandle:
    """A `Backend`; what is hosted is asked of a replica every second."""

    def __init__(self, options: HandleOptions, clock: Callable[[], float] = time.monotonic) -> None:
        self._options = options
        self._clock = clock
        self._catalogue = Catalogue()
        self._hosted: Mapping[VersionKey, Hosted] = {}
        self._replicas = 0
        self._callbacks: list[Changed] = []
        self._handle: Any = None
        self._looking: asyncio.Task[None] | None = None
        self._running: set[asyncio.Future[bytes]] = set()

    async def start(self) -> None:
        """Begin to join the cluster and to ask what is hosted."""
        self._looking = asyncio.get_running_loop().create_task(self._look_on(), name="serve handle")

    async def stop(self) -> None:
        """Leave the pool; the cluster is left with the process, since other handles may use it."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        self._adopt(Catalogue(), 0)
        for call in tuple(self._running):
            call.cancel()

    def hosted(self) -> Mapping[VersionKey, Hosted]:
        """What the replica asked last can run."""
        return self._hosted

    def refused(self) -> Mapping[VersionKey, str]:
        """What that replica could not load."""
        return self._catalogue.refused

    def settled(self) -> bool:
        """That replica is done loading."""
        return self._catalogue.settled

    def on_change(self, callback: Changed) -> None:
        """Call `callback` when one of these may answer differently."""
        self._callbacks.append(callback)

    def slots(self, key: VersionKey) -> int:
        """So many for each replica that lives."""
        return self._options.slots_per_replica * self._replicas if key in self._hosted else 0

    def servers(self, key: VersionKey) -> int:
        """All but the one that is on its way to each replica."""
        return max(1, self._options.slots_per_replica - 1) * self._replicas if key in self._hosted else 0

    def shared_slots(self) -> tuple[int, int] | None:
        """All versions run in the same replicas."""
        slots = self._options.slots_per_replica
        return slots * self._replicas, max(1, slots - 1) * self._replicas

    def beside(self) -> bool:
        """In replicas."""
        return True

    def waits(self) -> WaitNotes | None:
        """A handle tells replicas nothing but batches."""
        return None

    async def run(self, batch: Batch) -> Outputs:
        """See `Backend.run`. `Batch.alone` cannot be promised: the handle does not say which replica runs it."""
        facts = self._hosted.get(batch.key)
        if facts is None:
            raise NotReady(f"no replica of {self._options.application} hosts {batch.key}")
        ttl_s = batch.expires_at - self._clock()
        if ttl_s <= 0:
            raise DeadlineExceeded(f"the time for {batch.key} was up before its batch was sent")
        parts, size = encode_run(batch, 0, 0, ttl_s)
        if size > DEFAULT_FRAME_BYTES:
            raise ModelFailed(f"a batch of {size} bytes is more than the {DEFAULT_FRAME_BYTES} that a message may have")
        try:
            # Ray does not always tell of a replica that died with the call: without a bound it would hang for ever.
            async with asyncio.timeout(ttl_s):
                answer = _only_frame(await self._call(batch.key, b"".join(parts)))
        except TimeoutError:
            raise DeadlineExceeded(f"{batch.key} did not answer over Ray's handle in time") from None
        if answer.kind == RESULT:
            # The handle does not say which replica it was; traces tell at least whose.
            tensors = decode_result(answer, batch.rows, facts.signature)
            return Outputs(tensors, run_s_of(answer), self._options.application, waited_s_of(answer))
        raise decode_failed(answer) or ModelFailed(f"{batch.key} was cancelled")

    async def _call(self, key: VersionKey, frame: bytes) -> bytes:
        call: asyncio.Future[bytes] = asyncio.ensure_future(
            _awaited(self._handle.run_batch.remote(key.model, key.version, frame))
        )
        self._running.add(call)
        try:
            return await call
        except asyncio.CancelledError:
            # Ours when `stop` cancelled the call, the caller's own otherwise.
            if call.cancelled() and not _being_cancelled():
                raise NotReady("the gateway is leaving the pool") from None
            raise
        except Exception as error:
            raise _translated(error) from error
        finally:
            self._running.discard(call)

    async def _look_on(self) -> None:
        while True:
            try:
                await self._look()
            # Ray raises what it likes while a cluster comes and goes, and none of it may end the looking.
            except Exception as error:  # noqa: BLE001
                log.warning("pool %s cannot be asked by handle: %s", self._options.application, error)
                self._adopt(Catalogue(), 0)
            await asyncio.sleep(self._options.look_s)

    async def _look(self) -> None:
        if self._handle is None:
            self._handle = await asyncio.to_thread(self._join)
        replicas = await asyncio.to_thread(self._count)
        if not replicas:
            self._adopt(Catalogue(), 0)
            return
        async with asyncio.timeout(5):
            frame = await _awaited(self._handle.catalogue.remote())
        self._adopt(decode_catalogue(_only_frame(frame)), replicas)

    def _join(self) -> Any:  # noqa: ANN401 - Serve's handle is made of attributes that do not exist
        if not ray.is_initialized():
            ray.init(address=self._options.address or "auto", log_to_driver=False, configure_logging=False)
        handle = serve.get_deployment_handle(self._options.deployment, app_name=self._options.application)
        # Bytes in one message instead of by reference, and plain pickle: both measured faster for one batch per call.
        return handle.options(_by_reference=False, request_serialization="pickle", response_serialization="pickle")

    def _count(self) -> int:
        overview = serve.status().applications.get(self._options.application)
        if overview is None or self._options.deployment not in overview.deployments:
            return 0
        states = cast("dict[str, int]", overview.deployments[self._options.deployment].replica_states)
        return states.get("RUNNING", 0)

    def _adopt(self, catalogue: Catalogue, replicas: int) -> None:
        if catalogue == self._catalogue and replicas == self._replicas:
            return
        self._catalogue, self._replicas = catalogue, replicas
        self._hosted = {hosted.key: hosted for hosted in catalogue.slots.values()}
        for callback in self._callbacks:
            callback(None)


async def _awaited(response: Any) -> bytes:  # noqa: ANN401 - Serve's response has no type of what it gives
    try:
        return cast("bytes", await response)
    except asyncio.CancelledError:
        with contextlib.suppress(Exception):
            response.cancel()
        raise


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _only_frame(data: bytes) -> Frame:
    frames = list(FrameReader(DEFAULT_FRAME_BYTES).feed(data))
    if len(frames) != 1:
        raise StreamRefused("a replica answered with something else than one frame")
    return frames[0]


def _translated(error: Exception) -> ServingError:
    if isinstance(error, ServingError):
        return error
    if isinstance(error, BackPressureError):
        return Overloaded("every replica's queue is full")
    if isinstance(error, DeploymentUnavailableError):
        return NotReady("no replica lives")
    if isinstance(error, RayActorError):
        return ReplicaLost("the replica ended while it held the batch")
    return ReplicaLost(f"the batch was lost on its way: {type(error).__name__}")
