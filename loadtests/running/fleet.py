"""Generators in processes of their own that make one load together, and what they have written so far."""

from __future__ import annotations

import contextlib
import mmap
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson

from loadtests.generator.columns import Columns, bytes_of
from loadtests.generator.outcomes import Outcomes, joined
from loadtests.running.order import Account, Order
from loadtests.running.permission import Address
from loadtests.running.plan import due_times
from loadtests.scenario.scenario import MOST_REQUESTS, Scenario
from serving.errors import ConfigInvalid

# From when all are ready until the first request is due.
_LEAD_S = 0.3
_CLOSED_RATE = 50_000
_PREPARE_S = 120.0


class GeneratorLost(Exception):
    """A generator ended before its load began."""


@dataclass(frozen=True, slots=True)
class Load:
    """A scenario, the folder that its files are in, and the address that was found and permitted."""

    scenario: Scenario
    folder: Path
    address: Address


@dataclass(slots=True)
class Generator:
    """One process and the columns that it writes."""

    process: subprocess.Popen[bytes]
    columns: Columns
    account: Account | None = None


class Fleet:
    """Started, begun once, and ended by `close` whatever happened."""

    def __init__(self, load: Load, processes: int, seconds: float, *, fed: int | None = None) -> None:
        # Room for requests that are offered while it runs.
        self._fed = fed
        self._load = load
        self.seconds = seconds
        self.began = float("nan")
        self.generators = [self._start(number, processes) for number in range(processes)]

    def begin(self) -> None:
        """All ask from one moment on.

        Raises:
            ConfigInvalid: a payload that cannot be read.
        """
        for generator in self.generators:
            self._hear(generator)
        self.began = time.monotonic() + _LEAD_S
        for generator in self.generators:
            self._tell(generator, f"{self.began!r}\n".encode())

    @property
    def running(self) -> bool:
        """Whether any of them still asks or waits for answers."""
        return any(generator.process.poll() is None for generator in self.generators)

    @property
    def full(self) -> bool:
        """Whether a closed loop had no room for more before its time was over."""
        closed = self._load.scenario.generator.loop == "closed"
        return closed and any(one.columns.reached >= one.columns.room for one in self.generators)

    @property
    def left(self) -> bool:
        """Whether somebody would not wait for the last answers."""
        return any(generator.columns.left for generator in self.generators)

    def stop(self, *, at_once: bool = False) -> None:
        """No more is sent; what is out is waited for as at every end, but for `at_once`."""
        for generator in self.generators:
            generator.columns.stop(at_once=at_once)

    def wait(self, seconds: float) -> bool:
        """Whether all have ended within so long."""
        until = time.monotonic() + seconds
        for generator in self.generators:
            try:
                generator.process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                return False
        return True

    def accounts(self) -> list[Account]:
        """What each of them used; one that was killed, or failed, has lost that, and nothing that it measured."""
        for number, generator in enumerate(self.generators):
            if generator.account is None:
                assert generator.process.stdout is not None  # noqa: S101 - it is a pipe
                line = generator.process.stdout.readline()
                if not line:
                    lost = f"generator {number} ended with status {generator.process.wait()} before its load did"
                    generator.account = Account(0.0, 0.0, 0, 0, 0.0, [], lost=lost)
                else:
                    generator.account = Account(**orjson.loads(line))
        return [generator.account for generator in self.generators if generator.account is not None]

    def outcomes(self, names: list[list[str]] | None = None) -> Outcomes:
        """All that had its turn; with the names that each generator has for variants, numbers are made common ones."""
        parts = [one.columns.outcomes(one.columns.reached, self.began) for one in self.generators]
        if names is not None:
            common = common_names(names)
            for part, own in zip(parts, names, strict=True):
                numbers = np.array([*(common.index(name) for name in own), -1], np.int8)
                # One without an account has no names.
                part.variant[:] = numbers[np.minimum(part.variant, len(own))]
        return joined(parts)

    def close(self) -> None:
        """End what still runs."""
        for generator in self.generators:
            if generator.process.poll() is None:
                generator.process.kill()
            generator.process.wait()
            for pipe in (generator.process.stdin, generator.process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()

    def _start(self, number: int, of: int) -> Generator:
        room = self._room(number, of)
        descriptor = os.memfd_create(f"load-{number}")
        try:
            os.ftruncate(descriptor, bytes_of(room))
            columns = Columns(room, mmap.mmap(descriptor, bytes_of(room)))
            process = self._process(descriptor)
            document, folder = self._load.scenario.model_dump(mode="json"), str(self._load.folder.resolve())
            order = Order(document, folder, *self._load.address, number, of, descriptor, room, self._fed is not None)
            generator = Generator(process, columns)
            self._tell(generator, order.line())
            return generator
        finally:
            os.close(descriptor)

    @staticmethod
    def _process(descriptor: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "loadtests.running.generator"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[descriptor],
            # Ctrl-C is for who began all this, and who tells them to stop.
            start_new_session=True,
        )

    def _room(self, number: int, of: int) -> int:
        if self._fed is not None:
            return self._fed // of
        if self._load.scenario.generator.loop == "open":
            return len(range(number, len(due_times(self._load.scenario, self._load.folder)), of))
        return int(min(MOST_REQUESTS // of, _CLOSED_RATE * self.seconds + 1_000))

    @staticmethod
    def _hear(generator: Generator) -> None:
        assert generator.process.stdout is not None  # noqa: S101 - it is a pipe
        line = generator.process.stdout.readline()
        if not line:
            raise GeneratorLost("a generator ended before its load began")
        if problem := orjson.loads(line).get("problem"):
            raise ConfigInvalid(problem)

    @staticmethod
    def _tell(generator: Generator, line: bytes) -> None:
        assert generator.process.stdin is not None  # noqa: S101 - it is a pipe
        with contextlib.suppress(BrokenPipeError):
            generator.process.stdin.write(line)
            generator.process.stdin.flush()


def common_names(names: list[list[str]]) -> list[str]:
    """Every name once, in a stable order."""
    return sorted({name for own in names for name in own})


@contextlib.contextmanager
def fleet(load: Load, processes: int, seconds: float) -> Iterator[Fleet]:
    """Begun, and ended afterwards."""
    made = Fleet(load, processes, seconds)
    try:
        made.begin()
        yield made
    finally:
        made.close()
