"""A bulk file beside interactive callers: what they notice, and how much slower the file goes."""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.encodings import BinaryTensors
from benchmarks.model import FEATURES, INPUT, NAME
from benchmarks.open_loop.questions import questions
from benchmarks.peers.sluice import START
from benchmarks.summary import order
from benchmarks.under_load.applying import beside
from benchmarks.under_load.models import tiny
from benchmarks.under_load.promises import Promise, at_least, at_most, median_ratio, rows_of
from benchmarks.under_load.session import folder, running
from loadtests.generator.client import Client
from loadtests.generator.schedule import Phase

SLO_S = 0.025
TIMES = 1.3
SHARE = 0.6
# Longer than any file of the bench takes.
_LONGEST_S = 1_800.0
_CHUNK = 50_000
COMMAND = f"{sys.executable} -c {shlex.quote(START)} predict {{model}} --file {{file}} --out {{out}} --url {{url}}"
BY_HAND = f"{sys.executable} -m benchmarks.under_load.bulk_by_hand --port {{port}} --file {{file}} --out {{out}}"
TURNS = ("interactive", "bulk", "both")


def measure(engine: str, rows: int, command: str, options: tuple[int, float, float], seed: int) -> dict[str, Any]:
    """`options` are rounds, seconds of the interactive load alone, and its requests a second.

    Raises:
        RuntimeError: the bulk command failed; the text is the end of what it wrote.
    """
    rounds, seconds, rate = options
    told: list[dict[str, Any]] = []
    with folder() as models:
        small = tiny(models, BinaryTensors())
        file = write_rows(models / "rows.parquet", rows)
        with running(models, engine, {}, [small]) as session:
            client = Client(session.port, [questions(small)])
            named = {"model": NAME, "file": file, "port": session.port, "url": f"http://127.0.0.1:{session.port}"}
            beside(client, [Phase("small", rate, 3.0)], seed, SLO_S)
            for number in range(rounds):
                for turn in order(list(TURNS), number, seed):
                    out = models / f"answers-{number}-{turn}.parquet"
                    line = shlex.split(command.format(out=out, **named)) if turn != "interactive" else None
                    one = _turn(client, Phase("small", rate, seconds), line, turn, seed + number)
                    told.append({"round": number, "turn": turn, **one})
            client.close()
    for one in told:
        if "bulk" in one:
            one["bulk"]["rows_per_second"] = round(rows / one["bulk"]["seconds"], 1)
    return {
        "rows": rows,
        "rate": rate,
        # Where this checkout lies is nobody's business.
        "command": command.replace(sys.executable, "python"),
        "others_cores": session.others_cores,
        "rounds": told,
        "promises": rows_of(_promises(told)),
    }


def _turn(client: Client, phase: Phase, line: list[str] | None, turn: str, seed: int) -> dict[str, Any]:
    if line is None:
        return {"interactive": beside(client, [phase], seed, SLO_S)[0]}
    bulk = _Bulk(line)
    try:
        if turn == "bulk":
            return {"bulk": bulk.told()}
        # As long as the file takes: its end ends the load.
        longest = replace(phase, seconds=_LONGEST_S)
        (small,) = beside(client, [longest], seed, SLO_S, bulk.ended)
        return {"interactive": small, "bulk": bulk.told()}
    finally:
        bulk.stop()


class _Bulk:
    """The command as a process of its own."""

    def __init__(self, line: list[str]) -> None:
        self._began = time.monotonic()
        self._took_s = 0.0
        # A file, as a progress bar would fill a pipe that nobody reads.
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 -- closed by `stop`
        self._process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)

    def ended(self) -> bool:
        """Whether it has; the first time that it says so is when it did."""
        if self._process.poll() is None:
            return False
        self._took_s = self._took_s or time.monotonic() - self._began
        return True

    def told(self) -> dict[str, float]:
        """Seconds from its start to its end; waits for that."""
        self._process.wait()
        self.ended()
        if self._process.returncode:
            self._log.seek(0)
            said = self._log.read()[-1_000:].decode(errors="replace")
            raise RuntimeError(f"the bulk command ended with {self._process.returncode}: {said}")
        return {"seconds": round(self._took_s, 2)}

    def stop(self) -> None:
        """End it where it runs still."""
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(20)
        self._log.close()


def write_rows(path: Path, rows: int) -> Path:
    """A Parquet file with one list of floats a row, named as the model's input; written in groups of rows."""
    import pyarrow as pa
    from pyarrow import parquet

    random = np.random.default_rng(41)
    schema = pa.schema([(INPUT, pa.list_(pa.float32(), FEATURES))])
    with parquet.ParquetWriter(path, schema) as writer:
        for first in range(0, rows, _CHUNK):
            values = random.normal(size=(min(_CHUNK, rows - first), FEATURES)).astype(np.float32)
            column = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), FEATURES)
            writer.write_table(pa.table([column], schema=schema))
    return path


def _promises(told: list[dict[str, Any]]) -> list[Promise]:
    of_small = {
        (one["round"], one["turn"]): one["interactive"]["right"]["p99_ms"] for one in told if "interactive" in one
    }
    of_bulk = {(one["round"], one["turn"]): one["bulk"]["rows_per_second"] for one in told if "bulk" in one}
    p99, speed = median_ratio(of_small, "both", "interactive"), median_ratio(of_bulk, "both", "bulk")
    small = [one["interactive"] for one in told if "interactive" in one]
    return [
        at_most("interactive p99 beside bulk, x alone", p99, TIMES).of(*small),
        at_least("bulk's speed beside interactive, of its own alone", speed, SHARE),
    ]


HEAD = ["round", "turn", "interactive p50 ms", "interactive p99 ms", "answers", "late p99 ms", "bulk rows/s"]


def lines(results: dict[str, Any]) -> list[list[str]]:
    """A row for each turn."""
    made = []
    for one in results["rounds"]:
        small, bulk = one.get("interactive"), one.get("bulk")
        made.append(
            [
                str(one["round"] + 1),
                one["turn"],
                f"{small['right']['p50_ms']}" if small else "",
                f"{small['right']['p99_ms']}" if small else "",
                str(small["by_status"]) if small else "",
                f"{small['lateness'].get('p99_ms')}" if small else "",
                f"{bulk['rows_per_second']:,.0f}" if bulk else "",
            ]
        )
    return made
