"""One generator in a process of its own: `python -m loadtests.running.generator`, told by its standard input."""

from __future__ import annotations

import ctypes
import math
import mmap
import resource
import signal
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from loadtests.generator.answer import Answer
from loadtests.generator.client import Client, Limits
from loadtests.generator.columns import Columns, bytes_of
from loadtests.generator.grpc_wire import GrpcWire
from loadtests.judging.self_check import late_limits
from loadtests.payload.grpc_asks import METHOD
from loadtests.running.order import Account, Order
from loadtests.running.plan import Plan, part_of, seconds_of
from loadtests.scenario.scenario import Scenario
from serving.errors import ConfigInvalid

_PR_SET_PDEATHSIG = 1
_VARIANT = b"\r\nx-sluice-variant: "
_DEGRADED = b"\r\nx-sluice-degraded: "
_MOST_VARIANTS = 100
_OTHER_FILES = 100
DEGRADED = " degraded"


class Variants:
    """Which variant answered, as the answer's head tells, and whether with defaults."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._numbers: dict[tuple[bytes, bool], int] = {}

    def notice(self, number: int, answer: Answer) -> None:
        """See Client.notice."""
        head = answer.head
        at = head.find(_VARIANT)
        if at < 0:
            return
        begins = at + len(_VARIANT)
        # The last header has no line end behind it.
        ends = head.find(b"\r", begins)
        name = (head[begins:] if ends < 0 else head[begins:ends], _DEGRADED in head)
        known = self._numbers.get(name)
        if known is None:
            if len(self._numbers) >= _MOST_VARIANTS:
                return
            known = self._numbers[name] = len(self._numbers)
        self._columns.variant[number] = known

    def names(self) -> list[str]:
        """By number."""
        return [name.decode("latin-1") + DEGRADED * degraded for name, degraded in self._numbers]


def main() -> None:
    """Prepare, say so, wait for the moment, ask, and give an account."""
    # Its parent may be killed: a generator without one would go on asking.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    order = Order(**orjson.loads(sys.stdin.buffer.readline()))
    try:
        scenario = Scenario.model_validate(order.scenario)
        plan = part_of(scenario, Path(order.folder), order.number, order.of, cycle=order.fed)
        columns = Columns(order.room, mmap.mmap(order.descriptor, bytes_of(order.room)))
        asks = [plan.asks] * (2 * len(scenario.users))
        client = Client((order.host, order.port), asks, limits_of(scenario, order.of))
    except (ConfigInvalid, OSError) as error:
        _say(orjson.dumps({"problem": str(error)}) + b"\n")
        return
    first = scenario.users[0]
    if first.protocol == "grpc":
        client.wire = GrpcWire(urlsplit(scenario.target).netloc, METHOD, first.headers)
    variants = Variants(columns)
    client.notice = variants.notice
    columns.fed = order.fed
    if scenario.generator.loop == "open" and not order.fed:
        columns.fill(plan.due, plan.stream)
    _say(b"{}\n")
    at = float(sys.stdin.buffer.readline() or "nan")
    if not math.isnan(at):
        began, used = time.monotonic(), time.process_time()
        _ask(client, columns, scenario, order, plan, at)
        _say(_account(client, variants, time.process_time() - used, time.monotonic() - max(began, at)).line())
    client.close()


def _ask(client: Client, columns: Columns, scenario: Scenario, order: Order, plan: Plan, at: float) -> None:  # noqa: PLR0913, PLR0917
    if scenario.generator.loop == "open" or order.fed:
        client.run(columns, at)
        return
    callers = len(range(order.number, scenario.generator.callers, order.of))
    seconds = seconds_of(scenario, Path(order.folder))
    client.run_closed(columns, callers, seconds, at=at, streams=plan.stream.tolist())


def limits_of(scenario: Scenario, of: int) -> Limits:
    """What one of so many generators may have open and wait for."""
    generator = scenario.generator
    # Callers of a closed loop are bound enough: one that may not ask would be told unsent in every turn.
    callers = generator.callers if generator.loop == "closed" else 0
    outstanding = max(1, generator.outstanding // of, callers)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < outstanding + _OTHER_FILES:
        most = outstanding + _OTHER_FILES if hard < 0 else min(hard, outstanding + _OTHER_FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        # What has no socket is unsent, which is told, and no connection that the server lost.
        outstanding = max(1, most - _OTHER_FILES)
    # What is late by the look that finds it is not cut off by the end.
    patience_s, read_late_s = generator.timeout_s * 1.2, late_limits(scenario.gates)["p99_ms"] / 1e3
    return Limits(outstanding, min(32, outstanding), patience_s, generator.timeout_s, read_late_s)


def _account(client: Client, variants: Variants, cpu_s: float, wall_s: float) -> Account:
    used = resource.getrusage(resource.RUSAGE_SELF)
    peak_mb = used.ru_maxrss / 1024
    return Account(
        cpu_s,
        wall_s,
        client.connections,
        used.ru_nivcsw,
        peak_mb,
        variants.names(),
        read_late=client.read_late,
        without_socket=client.without_socket,
    )


def _say(line: bytes) -> None:
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
