"""Keeps a replica registered in the control Redis from a thread of its own, whatever happens to that server."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable

from serving.state import keys
from serving.state.connection import UNREACHABLE, connect_blocking
from serving.state.lease import clear_away, give_up, renew
from serving.state.member import Member

log = logging.getLogger(__name__)

# A server that was away is filled again within 3 s of its return: one refused attempt, this pause, one that works.
RETRY_S = 0.5


class Registration:
    """`member` is asked at every renewal, so that its record says what the replica hosts now.

    Without a server nothing raises and nothing blocks: gateways go on with the members they know.
    """

    def __init__(
        self, url: str, pool: str, member: Callable[[], Member], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = connect_blocking(url)
        self._pool = pool
        self._member = member
        self._clock = clock
        self._leaving = threading.Event()
        self._changed = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="registration", daemon=True)
        self._well_since: float | None = None

    def start(self) -> None:
        """Begin to renew."""
        self._thread.start()

    def changed(self) -> None:
        """Tell gateways at once, not with the next renewal."""
        self._changed.set()

    def leave(self) -> bool:
        """Deregister for good, within two operations' time; tell whether the server took it."""
        self._leaving.set()
        self._changed.set()
        if self._thread.is_alive():
            # A renewal after the goodbye would bring the dead back.
            self._thread.join()
        try:
            give_up(self._client, self._pool, self._member().replica)
        except UNREACHABLE as error:
            log.warning("pool %s: left without deregistering, the control Redis is away (%s)", self._pool, error)
            return False
        finally:
            with contextlib.suppress(*UNREACHABLE):
                self._client.close()
        return True

    def _keep(self) -> None:
        while not self._leaving.is_set():
            self._changed.clear()
            pause_s = self._renew()
            self._changed.wait(pause_s)

    def _renew(self) -> float:
        try:
            renew(self._client, self._pool, self._member())
            self._clear_away()
        except UNREACHABLE as error:
            if self._well_since is not None:
                log.warning("pool %s: the control Redis is away (%s)", self._pool, error)
            self._well_since = None
            return RETRY_S
        return keys.RENEW_S

    def _clear_away(self) -> None:
        now = self._clock()
        if self._well_since is None:
            self._well_since = now
        # Everybody's lease runs out while the server is away: those who live have had time to renew by now.
        elif now - self._well_since > 2 * keys.LEASE_MS / 1000:
            for replica in clear_away(self._client, self._pool):
                log.warning("pool %s: replica %s ended without deregistering", self._pool, replica)
