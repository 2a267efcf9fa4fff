"""Hears from the features Redis which rows were written: its own connection, and the task that keeps it.

`CLIENT TRACKING ON BCAST` has the server tell of every key with a prefix that is written, expires or is evicted,
whoever does it, and of FLUSHALL; Valkey and Redis from 6.0 on know it. It is asked for in RESP3, in which what the
server tells comes on the connection that asked: with RESP2 it takes two (REDIRECT), of which one can die while the
other looks well.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from serving.errors import ServingError
from serving.features.store.redis_address import RedisAddress
from serving.features.store.redis_connection import RedisConnection, connect
from serving.features.store.redis_node import place
from serving.features.store.tls_failure import in_words

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ListenerOptions:
    """Times in seconds: a connection that says nothing is asked every `ask_s`, and left after `silence_s` more."""

    connect_s: float = 1.0
    ask_s: float = 1.0
    silence_s: float = 1.0
    first_pause_s: float = 0.05
    longest_pause_s: float = 1.0


class HearsOfWrites(Protocol):
    """What is told; see `CachedReader`."""

    def invalidate(self, keys: Sequence[bytes]) -> None:
        """These keys were written."""

    def flush(self) -> None:
        """All were."""

    def trust(self, *, heard: bool) -> None:
        """Writes are told from now on, or not any more."""


class WriteListener:
    """Owns one task, which connects again whatever happens to the server; while it is not connected, time alone ends
    what the cache knows.

    `told_within_s` is how long a question of its own took to be answered on the same connection, the last time that it
    asked (None while nothing is told): what the server did before it was told before the answer, in the same order.
    """

    def __init__(
        self,
        address: RedisAddress,
        prefixes: Sequence[bytes],
        tells: HearsOfWrites,
        options: ListenerOptions | None = None,
    ) -> None:
        self._address = address
        self._prefixes = prefixes
        self._tells = tells
        self._options = options or ListenerOptions()
        self._task: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()
        self._complaint = ""
        self.told_within_s: float | None = None

    async def start(self) -> None:
        """Begin to connect; over once that succeeded or failed for the first time."""
        self._task = asyncio.get_running_loop().create_task(self._keep_listening(), name="write listener")
        await self._tried.wait()

    async def stop(self) -> None:
        """End the task and the connection."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def _keep_listening(self) -> None:
        pause_s = self._options.first_pause_s
        while True:
            try:
                why = await self._listened()
                pause_s = self._options.first_pause_s
            except (OSError, ServingError) as error:
                why = in_words(error)
            except Exception as error:
                # Ended here by a defect of ours, rows would be read again every second for ever.
                log.exception("hearing of writes failed and goes on")
                why = type(error).__name__
            finally:
                self._tried.set()
            self._complain(why)
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            pause_s = min(pause_s * 2, self._options.longest_pause_s)

    async def _listened(self) -> str:
        """Return when the connection has ended, with the reason; raise when none came to be."""
        connection = await self._connected()
        self._tells.trust(heard=True)
        if self._complaint:
            self._complaint = ""
            log.info("the features Redis at %s tells of writes again", place(self._address))
        self._tried.set()
        try:
            return await self._followed(connection)
        finally:
            # First of all: what is told from here on is lost.
            self._tells.trust(heard=False)
            self.told_within_s = None
            connection.abort("the listener is stopping")

    async def _connected(self) -> RedisConnection:
        try:
            async with asyncio.timeout(self._options.connect_s):
                connection = await connect(self._address, self._pushed)
                try:
                    await connection.ask(b"HELLO", b"3")
                    prefixes = [part for prefix in self._prefixes for part in (b"PREFIX", prefix)]
                    await connection.ask(b"CLIENT", b"TRACKING", b"ON", b"BCAST", *prefixes)
                except BaseException:
                    connection.abort("the server does not tell of writes")
                    raise
        except TimeoutError as error:
            raise TimeoutError(f"it did not answer within {self._options.connect_s:g} s") from error
        return connection

    async def _followed(self, connection: RedisConnection) -> str:
        """Ask now and then whether it is still there: half of a broken connection would be silent for ever."""
        while True:
            asked_at = time.monotonic()
            try:
                async with asyncio.timeout(self._options.silence_s):
                    await connection.ask(b"PING")
            except TimeoutError:
                return f"it did not answer for {self._options.silence_s:g} s"
            self.told_within_s = time.monotonic() - asked_at
            await asyncio.wait([connection.ended], timeout=self._options.ask_s)
            if connection.ended.done():
                return connection.ended.result()

    def _pushed(self, message: Sequence[object]) -> None:
        match message:
            case [b"invalidate", None]:
                self._tells.flush()
            case [b"invalidate", [*keys]]:
                self._tells.invalidate([key for key in keys if isinstance(key, bytes)])

    def _complain(self, why: str) -> None:
        if why != self._complaint:
            self._complaint = why
            log.warning(
                "the features Redis at %s does not tell of writes (%s); rows are read again after a second at most",
                place(self._address),
                why,
            )
