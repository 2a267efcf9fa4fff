"""Keeps what a session has learned of run times in its state directory, so that the next session begins with it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import orjson

from serving.batching.learned import Learned, dump, load
from serving.processes.events import Emit, Event
from serving.processes.learned_estimates import LearnedEstimates

FORMAT = 1
# What a session that is killed has learned since is lost, and learned anew.
_EVERY_S = 10.0


class EstimatesFile:
    """Written every ten seconds where something changed; nothing that is wrong with it is more than told."""

    def __init__(self, path: Path, emit: Emit) -> None:
        self._path = path
        self._emit = emit
        self._written: list[Learned] = []
        self._writing: asyncio.Future[None] | None = None
        self._unwritable = False

    def read(self) -> list[Learned]:
        """What an earlier session kept; nothing where there is none, or none that can be read."""
        try:
            self._written = _parsed(self._path.read_bytes())
        except FileNotFoundError:
            return []
        except (OSError, TypeError, ValueError) as error:
            self._say(f"{self._path}: {error}; run times are learned anew")
        return self._written

    async def keep(self, learned: LearnedEstimates) -> None:
        """Write again and again, until cancelled."""
        while True:
            await asyncio.sleep(_EVERY_S)
            await self.save(learned)

    async def save(self, learned: LearnedEstimates) -> None:
        """Write what is known now, if it is new."""
        # One that was cancelled still writes, in its thread.
        if self._writing is not None:
            await asyncio.wait([self._writing])
        known = learned.known()
        if known == self._written:
            return
        self._writing = asyncio.get_running_loop().run_in_executor(None, _replace, self._path, known)
        try:
            await asyncio.shield(self._writing)
        except OSError as error:
            # A full disk fills for hours; one line says so.
            if not self._unwritable:
                self._say(f"{self._path} cannot be written ({error.strerror or error}); run times are not kept")
            self._unwritable = True
            return
        self._unwritable = False
        self._written = known

    def _say(self, text: str) -> None:
        self._emit(Event("trouble", "estimates", text))


def _parsed(data: bytes) -> list[Learned]:
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ValueError("it is no JSON") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT or "estimates" not in document:
        raise ValueError(f"it is not of format {FORMAT}, which this release reads")
    return [load(entry) for entry in document["estimates"]]


def _replace(path: Path, known: list[Learned]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}.new")
    fresh.write_bytes(orjson.dumps({"format": FORMAT, "estimates": [dump(one) for one in known]}))
    fresh.replace(path)
