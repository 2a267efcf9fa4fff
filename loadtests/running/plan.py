"""The whole load of a scenario, drawn beforehand: when each request is due, whose it is, and what it asks for."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from loadtests.generator.answer import Ask
from loadtests.generator.schedule import Arrivals, Times, arrivals
from loadtests.payload.asks import Unchecked, asks, entries
from loadtests.payload.keys import chosen, mixed
from loadtests.scenario.scenario import MOST_RATE, MOST_REQUESTS, MOST_SECONDS, Scenario
from loadtests.scenario.shape import phases
from serving.errors import ConfigInvalid

# One generator sends some 86,000 requests a second with a core to itself; the rest is room for what else runs.
RATE_PER_PROCESS = 10_000.0
# Of a file to replay: as many times as there may be, each with as many digits as are of use.
_MOST_BYTES = 32 * MOST_REQUESTS


@dataclass(frozen=True, slots=True)
class Plan:
    """One generator's part of a load; streams are twice the user's number, and one more where answers are compared."""

    due: Times
    stream: NDArray[np.intp]
    asks: list[Ask]


def seconds_of(scenario: Scenario, folder: Path) -> float:
    """How long the load lasts."""
    if scenario.generator.replay is None:
        return sum(stage.for_s for stage in scenario.shape)
    times = due_times(scenario, folder)
    return float(times[-1]) + 1.0


def processes_of(scenario: Scenario, folder: Path, cores: int) -> int:
    """How many generators share the load."""
    if scenario.generator.processes is not None:
        return scenario.generator.processes
    if scenario.generator.loop == "closed":
        return 1
    return max(1, min(cores, round(_highest_rate(scenario, folder) / RATE_PER_PROCESS)))


def _highest_rate(scenario: Scenario, folder: Path) -> float:
    if scenario.generator.replay is not None:
        return _busiest_second(due_times(scenario, folder))
    return max(max(stage.rate, stage.to or 0) for stage in scenario.shape)


def due_times(scenario: Scenario, folder: Path) -> Times:
    """When each request of an open loop is due.

    Raises:
        ConfigInvalid: the file to replay cannot be.
    """
    generator = scenario.generator
    if generator.replay is not None:
        return _replayed(folder / generator.replay)
    return arrivals(phases(scenario.shape), generator.seed, Arrivals(generator.arrivals, generator.variation))


def part_of(scenario: Scenario, folder: Path, number: int, of: int, *, cycle: bool = False) -> Plan:
    """Every so-manieth request, so that the parts of all generators are the load; or a cycle that goes round and round.

    Raises:
        ConfigInvalid: a payload that cannot be read, or a file to replay.
    """
    due = (
        due_times(scenario, folder)
        if scenario.generator.loop == "open" and not cycle
        else np.zeros(_closed_cycle(scenario))
    )
    random = np.random.default_rng([scenario.generator.seed, 1])
    who = mixed(scenario.users, len(due), random)
    stream = np.zeros(len(due), np.intp)
    wanted: list[Ask] = [_NONE] * len(range(number, len(due), of))
    host = scenario.target.split("://", 1)[1].rstrip("/")
    for at, user in enumerate(scenario.users):
        theirs = np.flatnonzero(who == at)
        found = entries(user, folder)
        picks = chosen(user.keys, len(found), len(theirs), random)
        compared = random.uniform(size=len(theirs)) < user.check
        stream[theirs] = 2 * at + compared
        plain, checked = asks(user, found, host)
        mine = (theirs % of) == number
        for request, pick, look in zip(
            theirs[mine].tolist(), picks[mine].tolist(), compared[mine].tolist(), strict=True
        ):
            wanted[request // of] = checked[pick] if look else plain[pick]
    return Plan(due[number::of], stream[number::of], wanted)


# Replaced by what each request asks for.
_NONE = Unchecked(b"")


def _closed_cycle(scenario: Scenario) -> int:
    # Callers go round and round over so many requests.
    return max(10_000, scenario.generator.callers)


def _replayed(file: Path) -> Times:
    try:
        found = _numbers(file)
    except (OSError, ValueError) as error:
        raise ConfigInvalid(f"{file} cannot be replayed: {error}; it has one time in seconds on each line") from error
    times: Times = np.sort(found) - float(found.min(initial=np.inf))
    if not 0 < len(times) <= MOST_REQUESTS or not np.isfinite(times).all() or times[-1] > MOST_SECONDS:
        raise ConfigInvalid(
            f"{file} has {times.size:,} times; permitted: 1 to {MOST_REQUESTS:,} numbers within {MOST_SECONDS:g} s"
        )
    if (busiest := _busiest_second(times)) > MOST_RATE:
        raise ConfigInvalid(f"{file} has {busiest:,} times within a second; permitted: at the most {MOST_RATE:,.0f}")
    return times


def _numbers(file: Path) -> Times:
    if file.stat().st_size > _MOST_BYTES:
        raise ValueError(f"it has over {_MOST_BYTES >> 20} MB, which are more times than a load may have")
    with warnings.catch_warnings():
        # An empty file is told by its caller.
        warnings.simplefilter("ignore", UserWarning)
        found = np.loadtxt(file, dtype=np.float64, ndmin=2)
    if found.size and found.shape[1] != 1:
        raise ValueError(f"a line has {found.shape[1]} numbers")
    times: Times = found.ravel()
    return times


def _busiest_second(times: Times) -> int:
    return int(np.bincount(times.astype(np.intp)).max())
