"""What traces cost: two sessions, one that traces a share of its requests and one that traces none, asked in turns; and
a third one of a checkout that knows no traces, where there is one.

The receiver is a process of its own, which takes everything and keeps nothing: what it costs is nobody's.
"""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import wrk
from benchmarks.encodings import JsonTensors
from benchmarks.summary import order
from benchmarks.under_load.models import tiny
from benchmarks.under_load.promises import at_least, at_most, median_interval, rows_of
from benchmarks.under_load.session import Session, folder, running
from benchmarks.workload import Workload

MODES = ("off", "sampled")
WITHOUT = "without"
CONNECTIONS = 64
SHARE = 0.01
_MOST = 0.03
_MOST_OFF = 0.01
_FEWEST = 200_000
_PAIRS = 10
# Until what was sent is counted: by the sender twice a second, by the supervisor once.
_TOLD_S = 3.0


def measure(engine: str, without: Path | None, lengths: tuple[int, float], seed: int) -> dict[str, Any]:
    """Processor time a request without and with traces, in pairs of one after the other; `without` is a checkout of
    which the same is known without the code for traces. `lengths` are pairs, and seconds of each half.
    """
    pairs, seconds = lengths
    told: list[dict[str, dict[str, float]]] = []
    with folder() as models, _receiver() as receiver:
        first = tiny(models, JsonTensors())
        body = models / "body.json"
        body.write_bytes(first.encoding.body(first, 0))
        # All of the share, whatever it comes to in a second.
        traced = {"endpoint": receiver, "sample": SHARE, "max_per_s": 100_000}
        with ExitStack() as all_of_them:
            begin = all_of_them.enter_context
            off = begin(running(models, engine, {}, [first]))
            sampled = begin(running(models, engine, {"tracing": traced}, [first]))
            sessions = {"off": off, "sampled": sampled}
            if without is not None:
                sessions[WITHOUT] = begin(running(models, engine, {}, [first], checkout=without.resolve()))
            for session in sessions.values():
                _turn(session, first, body, 2.0)
            time.sleep(_TOLD_S)
            before = _spans(sampled)
            for number in range(pairs):
                modes = order(list(sessions), number, seed)
                told.append({mode: _turn(sessions[mode], first, body, seconds) for mode in modes})
            time.sleep(_TOLD_S)
            spans = _spans(sampled) - before
    return {"pairs": told, "spans": spans, "others_cores": off.others_cores, **_compared(told, spans)}


def _compared(told: list[dict[str, dict[str, float]]], spans: float) -> dict[str, Any]:
    modes = list(told[0])
    of = _costs(told, "sampled", "off")
    asked = {mode: sum(one[mode]["requests"] for one in told) for mode in modes}
    promises = [
        at_most("traces of 1 %, share of a request's processor time (upper end)", of["share"][2], _MOST),
        at_least("requests a side", min(asked.values()), _FEWEST),
        at_least("pairs", len(told), _PAIRS),
        # Of each traced request there are five spans and more.
        at_least("spans sent, of each request asked for traces", spans / max(1.0, asked["sampled"]), SHARE * 5),
    ]
    if WITHOUT in modes:
        against = _costs(told, "off", WITHOUT)
        of |= {f"off_{name}": found for name, found in against.items()}
        what = "traces that are off, share of a request's processor time (upper end)"
        promises.append(at_most(what, against["share"][2], _MOST_OFF))
    intervals = {name: dict(zip(("median", "low", "high"), found, strict=True)) for name, found in of.items()}
    return {"intervals": intervals, "promises": rows_of(promises)}


def _costs(told: list[dict[str, dict[str, float]]], of: str, against: str) -> dict[str, tuple[float, float, float]]:
    """What one mode costs more than another, and as a share of that."""
    costs = [one[of]["cpu_us"] - one[against]["cpu_us"] for one in told]
    shares = [cost / one[against]["cpu_us"] for cost, one in zip(costs, told, strict=True)]
    return {"cost_us": median_interval(costs), "share": median_interval(shares)}


def _turn(session: Session, workload: Workload, body: Path, seconds: float) -> dict[str, float]:
    address = f"http://127.0.0.1:{session.port}/v2/models/{workload.model}/infer"
    before = session.server.cpu_s()
    seen = wrk.apply(address, body, workload.encoding.headers(workload), CONNECTIONS, seconds)
    if seen.failed or seen.late:
        raise RuntimeError(f"{seen.errors}")
    cpu_us = 1e6 * (session.server.cpu_s() - before) / seen.requests
    return {"per_s": seen.per_second, "cpu_us": cpu_us, "requests": seen.requests}


class _Takes(BaseHTTPRequestHandler):
    """Answers every post with 200."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Read and forget."""
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing to say."""


def receive() -> None:
    """Take spans until ended; prints its port."""
    server = HTTPServer(("127.0.0.1", 0), _Takes)
    print(server.server_port, flush=True)
    server.serve_forever()


@contextmanager
def _receiver() -> Iterator[str]:
    program = "from benchmarks.under_load.tracing import receive; receive()"
    receiver = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        assert receiver.stdout is not None
        yield f"http://127.0.0.1:{int(receiver.stdout.readline())}"
    finally:
        receiver.terminate()
        receiver.wait(10)


def _spans(session: Session) -> float:
    """How many were sent so far."""
    with urllib.request.urlopen(f"http://127.0.0.1:{session.server.metrics_port}/metrics", timeout=10) as page:
        lines = page.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith('sluice_spans_total{outcome="sent"}'))


# Sessions of another checkout leave a column empty where there was none.
HEAD = ["pair", *(f"{figure} {mode}" for mode in (*MODES, WITHOUT) for figure in ("requests/s", "CPU us"))]


def lines(results: dict[str, Any]) -> list[list[str]]:
    """A row for each pair, and what they come to."""
    modes = [mode for mode in (*MODES, WITHOUT) if mode in results["pairs"][0]]
    rows = [
        [
            str(number + 1),
            *(text for mode in modes for text in (f"{one[mode]['per_s']:,.0f}", f"{one[mode]['cpu_us']:.2f}")),
        ]
        for number, one in enumerate(results["pairs"])
    ]
    middle = [
        f"{median(one[mode][key] for one in results['pairs']):,.2f}" for mode in modes for key in ("per_s", "cpu_us")
    ]
    rows.append(["median", *middle])
    rows = [[*row, *[""] * (len(HEAD) - len(row))] for row in rows]
    for name, found in results["intervals"].items():
        words = "us" if name.endswith("_us") else "of a request"
        said = f"{found['median']:.4f} ({found['low']:.4f} to {found['high']:.4f})"
        rows.append([f"{name}, {words}", said, *[""] * (len(HEAD) - 2)])
    return rows
