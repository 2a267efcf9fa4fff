"""The load over gRPC: h2load (nghttp2) with one thread, so many connections, one call at a time on each."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.load import Load

_TOTALS = re.compile(
    r"requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout"
)
_TRAFFIC = re.compile(r"traffic: .*?\((\d+)\) total")
_FRAME = 5


def framed(message: bytes) -> bytes:
    """As gRPC sends a message that is not compressed."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def apply(url: str, body: Path, headers: Mapping[str, str], connections: int, seconds: float) -> Load:
    """Send the file's message for so long.

    It counts statuses of HTTP, and gRPC's stand in trailers: that answers are right was seen before.

    Raises:
        RuntimeError: h2load ended without figures; the text is what it wrote.
    """
    with tempfile.TemporaryDirectory(prefix="h2load-") as folder:
        log, data = Path(folder, "log"), Path(folder, "data")
        data.write_bytes(framed(body.read_bytes()))
        flags = [text for name, value in headers.items() for text in ("-H", f"{name}: {value}")]
        command = ["h2load", "-t1", f"-c{connections}", "-m1", f"-D{max(1, round(seconds))}", f"--log-file={log}"]
        ended = subprocess.run(
            [*command, "-d", str(data), *flags, url], check=False, capture_output=True, text=True, timeout=seconds + 60
        )
        took_us = np.loadtxt(log, dtype=np.int64, usecols=2, ndmin=1) if log.exists() and log.stat().st_size else None
    if ended.returncode or took_us is None:
        raise RuntimeError(f"h2load ended with {ended.returncode}: {ended.stdout[-500:]}{ended.stderr[-500:]}")
    return parse(ended.stdout, took_us.tolist(), seconds)


def parse(text: str, took_us: list[int], seconds: float) -> Load:
    """The figures as h2load prints them, and each call's time from its log."""
    totals = _TOTALS.search(text)
    traffic = _TRAFFIC.search(text)
    if totals is None or traffic is None:
        raise RuntimeError(f"h2load's figures have another form: {text[-500:]}")
    _, done, _, failed, errored, timeout = map(int, totals.groups())
    p50, p90, p99, most = np.percentile(took_us, [50, 90, 99, 100])
    errors = {"status": failed, "connect": 0, "read": errored, "write": 0, "timeout": timeout}
    return Load(
        requests=done,
        seconds=max(1, round(seconds)),
        p50_us=float(p50),
        p90_us=float(p90),
        p99_us=float(p99),
        max_us=float(most),
        failed=failed + errored,
        late=timeout,
        errors=errors,
        answer_bytes=int(traffic.group(1)) / max(1, done),
    )
