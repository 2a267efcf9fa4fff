"""A gateway worker's part in the session's Ray cluster: joined in the background, once for all pools that need it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from pathlib import Path

from serving.processes import cluster_address, ray_environment
from serving.processes.backoff import delay_s

log = logging.getLogger(__name__)

_LOOK_S = 0.2


class JoinedCluster:
    """Waits for the engine to say where the cluster is, and joins it as a driver; nothing waits for this meanwhile.

    An engine that was started again has another cluster, and a process that was part of one joins no second. So the
    worker then leaves in order, as at a SIGTERM, and the supervisor starts another in its place.
    """

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._joined = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to join; each pool may ask for it."""
        if self._keeper is None:
            self._keeper = asyncio.get_running_loop().create_task(self._keep(), name="ray cluster")

    def stop(self) -> None:
        """End the looking; the cluster is left with the process."""
        if self._keeper is not None:
            self._keeper.cancel()

    async def joined(self) -> None:
        """Return once this process is part of the cluster."""
        await self._joined.wait()

    async def _keep(self) -> None:
        address = await self._join()
        self._joined.set()
        # Another process writes the file.
        while cluster_address.read(self._run_dir) in ("", address):  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_S)
        log.warning("the engine has another Ray cluster now; this worker makes room for one that joins it")
        os.kill(os.getpid(), signal.SIGTERM)

    async def _join(self) -> str:
        strikes = 0
        while True:
            address = cluster_address.read(self._run_dir)
            if not address:
                await asyncio.sleep(_LOOK_S)
                continue
            try:
                await asyncio.to_thread(join, self._run_dir, address)
            # Ray raises what it likes when a cluster ends meanwhile, and the next look may find another.
            except Exception as error:  # noqa: BLE001
                log.warning("the Ray cluster at %s cannot be joined: %s", address, error)
                strikes += 1
                await asyncio.sleep(max(_LOOK_S, delay_s(strikes)))
            else:
                return address


def join(run_dir: Path, address: str) -> None:
    """Make this process a driver of the cluster.

    Raises:
        ConnectionError: its head did not answer in a quarter of a minute; it may be tried again.
    """
    ray_environment.prepare(run_dir)
    os.environ.update(ray_environment.joining())
    # It takes a second, and its environment must be set before: only gateways that need it import it, in a thread.
    import ray  # noqa: PLC0415

    # What the pools' handles need, so that the loop does not wait for it either.
    import serving.backends.serve_handle  # noqa: PLC0415
    import serving.processes.ray_pools  # noqa: F401, PLC0415

    ray.init(address=address, log_to_driver=False, configure_logging=False)
    ray_environment.stay_with(address)
