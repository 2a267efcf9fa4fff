"""Passengers who ask about their flights while a rollout goes on, at a steady rate, and what they were answered."""

from __future__ import annotations

import threading
import time
from collections import Counter

import orjson

from deployments.flights.sample import MODEL, FlightSample
from serving.cli.failure import CommandFailed
from serving.cli.gateway_client import GatewayClient

RATE = 200
_CALLERS = 8
_OK = 200
_PAUSE_S = 0.5


class Passengers:
    """Each asks once, by the ids of the flight, and is told apart by a sticky key: many passengers share a plane."""

    def __init__(self, url: str, sample: FlightSample) -> None:
        self._url = url
        self._bodies = [orjson.dumps({"instances": [flight.instance()]}) for flight in sample.flights]
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._by_version: Counter[str] = Counter()
        self._errors = 0
        self._threads = [threading.Thread(target=self._call, args=(first,), daemon=True) for first in range(_CALLERS)]

    def start(self) -> None:
        """Begin to ask, until `stop`."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Returns when nobody asks any more."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def told(self) -> tuple[dict[str, int], int]:
        """Answers until now by the version that gave them, and errors."""
        with self._lock:
            return dict(self._by_version), self._errors

    def _call(self, first: int) -> None:
        client = GatewayClient(self._url)
        began, passenger = time.monotonic(), first
        while not self._over.wait(max(0.0, began + passenger / RATE - time.monotonic())):
            try:
                self._ask(client, passenger)
            except CommandFailed:
                # A part of the session is being restarted, which the session says.
                self._over.wait(_PAUSE_S)
            passenger += _CALLERS
        client.close()

    def _ask(self, client: GatewayClient, passenger: int) -> None:
        headers = {"content-type": "application/json", "x-sluice-key": f"passenger-{passenger}"}
        body = self._bodies[passenger % len(self._bodies)]
        reply = client.ask("POST", f"/v1/models/{MODEL}:predict", body, headers)
        with self._lock:
            if reply.status == _OK:
                self._by_version[reply.headers.get("x-sluice-version", "?")] += 1
            else:
                self._errors += 1
