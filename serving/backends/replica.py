"""One member of a pool: its connection, or the plan to have one."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import replace

from serving.backends.ejection import Standing, after_failure, pause_s
from serving.backends.replica_connection import Opening, ReplicaConnection
from serving.errors import ConfigInvalid, NotReady, StreamRefused
from serving.state.member import Member
from serving.wire.address import UnixAddress, parse

log = logging.getLogger(__name__)


class Replica:
    """Keeps one connection to the member, with pauses that grow while it fails; a lost member is left alone so long.

    `state` is for people: "connecting", "ready", "waiting to connect again: why" or "refused: why".
    """

    def __init__(self, member: Member, opening: Opening, failed: Callable[[str], None]) -> None:
        self.member = member
        self.connection: ReplicaConnection | None = None
        self.state = "connecting"
        self._opening = replace(opening, replica=member.replica)
        self._failed = failed
        self._standing = Standing()
        self._retired = False
        self._last_lost_at = 0.0
        self._complained = ""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to connect."""
        self._task = asyncio.get_running_loop().create_task(self._follow(), name=f"replica {self.member.replica}")

    def retire(self) -> None:
        """It is no member any more: what is in flight is answered, then the connection closes for good."""
        self._retired = True
        if self.connection is not None and self.connection.live:
            self.connection.leave()
        elif self._task is not None and (self.connection is None or self.connection.idle):
            self._task.cancel()

    async def stop(self) -> None:
        """End the connection now."""
        self._retired = True
        if self._task is None:
            return
        if self.connection is not None and self.connection.ready.done():
            # The task ends by itself when the connection has told everyone who waits for it.
            self.connection.abort(NotReady("the gateway is stopping"))
        else:
            self._task.cancel()
        await asyncio.wait([self._task])

    @property
    def gone(self) -> bool:
        """Retired, and nothing is left of it."""
        return self._retired and (self._task is None or self._task.done())

    async def _follow(self) -> None:
        clock = self._opening.clock
        while not self._retired:
            began = clock()
            refused = False
            self.state = "connecting"
            try:
                reason = await self._connected()
            except StreamRefused as error:
                refused, reason = True, error.message
            except (OSError, ConfigInvalid) as error:
                reason = str(error) or type(error).__name__
            except Exception as error:
                # A defect of ours, or a peer that nobody foresaw: ended here, the replica would never be tried again.
                log.exception("replica %s could not be followed", self.member.replica)
                reason = f"{type(error).__name__}: {error}"
            self.connection = None
            if not self._retired:
                await self._pause(reason, clock() - began, refused=refused)

    async def _connected(self) -> str:
        """Return when the connection has ended, with the reason; raise when none came to be."""
        options = self._opening.options
        connection = ReplicaConnection(replace(self._opening, last_lost_at=self._last_lost_at))
        try:
            async with asyncio.timeout(options.handshake_s):
                await self._open(connection)
                await connection.ready
        except TimeoutError as error:
            connection.abort(error)
            raise TimeoutError(f"no handshake within {options.handshake_s:g} s") from error
        except BaseException:
            connection.abort(NotReady("the gateway is stopping"))
            raise
        self.state = "ready"
        self._complained = ""
        reason = await connection.ended
        if connection.lost_batches:
            self._last_lost_at = self._opening.clock()
        return reason

    async def _open(self, connection: ReplicaConnection) -> None:
        self.connection = connection
        loop = asyncio.get_running_loop()
        address = parse(self.member.address)
        if isinstance(address, UnixAddress):
            await loop.create_unix_connection(lambda: connection, address.path)
        else:
            await loop.create_connection(lambda: connection, address.host, address.port)

    async def _pause(self, reason: str, lived_s: float, *, refused: bool) -> None:
        options = self._opening.options
        self._standing = after_failure(self._standing, lived_s, refused=refused, options=options)
        self.state = f"refused: {reason}" if refused else f"waiting to connect again: {reason}"
        if self.state != self._complained:
            self._complained = self.state
            log.warning("replica %s at %s is %s", self.member.replica, self.member.address, self.state)
        self._failed(self.member.replica)
        await asyncio.sleep(pause_s(self._standing, random.random(), options))  # noqa: S311 - spreads attempts, no secret
