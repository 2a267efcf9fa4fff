"""The pool's end of the tensor stream: accepts gateways, keeps them informed, lets them go."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Sequence

from serving.pool.host import Host
from serving.pool.listening import Listener, listen
from serving.pool.looking import Turn
from serving.pool.permits import RunPermits
from serving.pool.replica_load import ReplicaLoad, worst_of
from serving.pool.run_lengths import RunLengths
from serving.pool.slot_numbers import SlotNumbers
from serving.pool.wire_connection import Published, Shared, WireConnection
from serving.pool.wire_options import WireOptions
from serving.runtime import short_turns
from serving.wire.catalogue import Catalogue
from serving.wire.frame import GOAWAY, PONG, encode

log = logging.getLogger(__name__)

_JOIN_S = 5.0
# Gateways tell every second; one that has not for so long hangs, or knows nothing of telling.
_TOLD_WITHIN_S = 10.0


class WireServer:
    """Threads with blocking sockets: one that accepts for each address, one for each gateway, one that informs.

    It needs no event loop and does not mind one in the process's main thread.
    """

    def __init__(
        self,
        host: Host,
        secret: bytes,
        listen_on: Sequence[str],
        options: WireOptions | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._options = options or WireOptions()
        self._host = host
        self._listen_on = listen_on
        self._clock = clock
        self._published = Published(Catalogue())
        permits = RunPermits(self._options.parallel_runs)
        lengths = RunLengths(self._options.long_run_s)
        self._shared = Shared(host, secret, self._options, self._published, permits, lengths, Turn(), clock)
        self._slots = SlotNumbers()
        self._listeners: list[Listener] = []
        self._threads: list[threading.Thread] = []
        # In the order of their arrival.
        self._connections: dict[WireConnection, None] = {}
        self._changed = threading.Condition()
        self._news = threading.Event()
        # What connections that are gone had run, and the sum of all at the last look.
        self._ran_before_s = self._ran_s = 0.0
        self._looked_at = clock()
        self._draining = False
        self._stopped = False

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where it listens, with the ports that the kernel chose."""
        return tuple(str(listener.address) for listener in self._listeners)

    @property
    def connections(self) -> int:
        """How many gateways are connected."""
        return len(self._connections)

    def load(self) -> ReplicaLoad:
        """How busy it was since this was last asked, and what gateways told of those who wait."""
        now = self._clock()
        with self._changed:
            connections = list(self._connections)
            ran_s = self._ran_before_s + sum(connection.ran_s(now) for connection in connections)
        wall_s = max(now - self._looked_at, 1e-9) * self._options.parallel_runs
        # Long runs beside short ones make it more than there are slots; full is full.
        busy = min(max((ran_s - self._ran_s) / wall_s, 0.0), 1.0)
        self._ran_s, self._looked_at = ran_s, now
        told = [connection.waits(now - _TOLD_WITHIN_S) for connection in connections]
        return ReplicaLoad(busy, worst_of([waits for waits in told if waits is not None]))

    def start(self) -> None:
        """Listen and answer.

        Raises:
            ConfigInvalid: an address that cannot be listened on; nothing was started then.
        """
        with contextlib.ExitStack() as undo:
            for address in self._listen_on:
                listener = listen(address)
                undo.callback(listener.close)
                self._listeners.append(listener)
            undo.pop_all()
        self._host.on_change(self._news.set)
        self._publish()
        self._thread("tensor stream, news", self._inform)
        for listener in self._listeners:
            self._thread(f"tensor stream, {listener.address}", self._accept, listener)

    def drain(self, grace_s: float) -> bool:
        """Ask every gateway to leave once its batches are answered; tell whether all did within the time."""
        self._draining = True
        self._close_listeners()
        self._news.set()
        with self._changed:
            for connection in self._strangers():
                connection.close()
            return self._changed.wait_for(lambda: not self._connections, grace_s)

    def stop(self) -> None:
        """End every connection and thread; batches that run are finished, their answers are not sent."""
        self._stopped = True
        self._close_listeners()
        self._news.set()
        with self._changed:
            for connection in self._connections:
                connection.close()
        deadline = self._clock() + _JOIN_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - self._clock()))
        with self._changed:
            self._changed.wait_for(lambda: not self._connections, max(0.0, deadline - self._clock()))

    def _close_listeners(self) -> None:
        for listener in self._listeners:
            listener.close()

    def _thread(self, name: str, run: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=run, args=arguments, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: Listener) -> None:
        while True:
            try:
                peer, _ = listener.socket.accept()
            except OSError as error:
                if self._draining or self._stopped:
                    return
                # Out of file descriptors, most likely: gateways wait in the backlog until some are free.
                log.warning("no connection could be accepted on %s: %s", listener.address, error)
                time.sleep(0.1)
                continue
            self._admit(peer)

    def _admit(self, peer: socket.socket) -> None:
        connection = WireConnection(peer, self._shared)
        with self._changed:
            full = len(self._connections) >= self._options.max_connections
            strangers = self._strangers() if full else []
            if self._stopped or (full and not strangers):
                log.warning("a connection was refused: there are %d already", len(self._connections))
                peer.close()
                return
            # Who has proven nothing makes room, so that strangers cannot keep gateways out.
            for stranger in strangers[:1]:
                stranger.close()
                del self._connections[stranger]
            self._connections[connection] = None
        threading.Thread(target=self._serve, args=(connection,), name="tensor stream", daemon=True).start()

    def _serve(self, connection: WireConnection) -> None:
        short_turns.take()
        try:
            connection.serve()
        except Exception:
            log.exception("a gateway's connection ended in a defect of ours")
        finally:
            with self._changed:
                self._connections.pop(connection, None)
                self._ran_before_s += connection.ran_s(self._clock())
                self._changed.notify_all()

    def _strangers(self) -> list[WireConnection]:
        return [connection for connection in self._connections if not connection.welcomed]

    def _publish(self) -> None:
        host = self._host
        slots = self._slots.assign(host.catalogue())
        runs = self._options.parallel_runs if self._options.tells_runs else 0
        catalogue = Catalogue(slots, dict(host.refused()), host.settled(), runs)
        if catalogue != self._published.catalogue:
            self._published.catalogue = catalogue

    def _inform(self) -> None:
        while not self._stopped:
            news = self._news.wait(self._options.pulse_s)
            try:
                if news:
                    self._news.clear()
                    self._publish()
                with self._changed:
                    connections = [connection for connection in self._connections if connection.welcomed]
                for connection in connections:
                    self._tell(connection)
            except Exception:
                # Without its pulse the replica would be given up, whatever is wrong with its news.
                log.exception("gateways could not be told what is new")

    def _tell(self, connection: WireConnection) -> None:
        catalogue = self._published.catalogue
        if connection.told is not catalogue:
            connection.told = catalogue
            # A catalogue can be larger than a socket's buffer, and nobody's pulse waits for one gateway to read.
            threading.Thread(target=connection.tell, name="tensor stream, news", daemon=True).start()
        if self._draining and not connection.told_to_leave:
            connection.told_to_leave = connection.push(encode(GOAWAY))
        busy_since = connection.busy_since
        if busy_since is not None and self._clock() - busy_since > self._options.pulse_s:
            connection.push(encode(PONG))
