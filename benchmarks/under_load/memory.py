"""Resident memory of every process of a session over a million requests."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import cycle
from typing import Any

import numpy as np
import psutil

from benchmarks.encodings import BinaryTensors, JsonTensors
from benchmarks.open_loop.questions import questions
from benchmarks.server import Server
from benchmarks.under_load.models import tiny
from benchmarks.under_load.promises import at_most, rows_of
from benchmarks.under_load.session import folder, running
from loadtests.generator.client import Client
from loadtests.generator.outcomes import by_status

CALLERS = 64
# Growth after warm-up that counts as none: allocators give pages back late and take some early.
FLAT_MB = 8.0
WARM_SHARE = 0.2

Sample = tuple[int, float]


def measure(engine: str, requests: int, samples: int) -> dict[str, Any]:
    """So many requests in equal parts, JSON and binary in turn; after each part every process is looked at."""
    seen: dict[int, list[Sample]] = {}
    names: dict[int, str] = {}
    answers: dict[str, int] = {}
    began = time.monotonic()
    with folder() as models:
        json, binary = tiny(models, JsonTensors()), tiny(models, BinaryTensors())
        with running(models, engine, {}, [json]) as session:
            client = Client(session.port, [questions(json), questions(binary)])
            asked = 0
            for _, stream in zip(range(samples), cycle((0, 1)), strict=False):
                outcomes = client.closed_loop(CALLERS, 600.0, most=requests // samples, stream=stream)
                asked += len(outcomes)
                for status, count in by_status(outcomes).items():
                    answers[status] = answers.get(status, 0) + count
                _look(session.server, asked, seen, names)
            client.close()
    processes = [growth(names[pid], points, asked) for pid, points in seen.items()]
    promises = [at_most(f"MB grown: {one['process']}", one["grown_mb"], FLAT_MB) for one in processes]
    return {
        "requests": asked,
        "took_s": round(time.monotonic() - began, 1),
        "answers": answers,
        "others_cores": session.others_cores,
        "processes": processes,
        "promises": rows_of(promises),
    }


def growth(name: str, points: list[Sample], requests: int) -> dict[str, Any]:
    """The least-squares slope after warm-up, as megabytes over the requests that followed it."""
    warm = [point for point in points if point[0] >= WARM_SHARE * requests]
    slope = float(np.polyfit([at for at, _ in warm], [mb for _, mb in warm], 1)[0]) if len(warm) > 1 else 0.0
    return {
        "process": name,
        "first_mb": points[0][1],
        "warm_mb": warm[0][1] if warm else None,
        "last_mb": points[-1][1],
        "mb_a_million": slope * 1e6,
        "grown_mb": slope * (warm[-1][0] - warm[0][0]) if warm else None,
        "samples": points,
    }


def _look(server: Server, asked: int, seen: dict[int, list[Sample]], names: dict[int, str]) -> None:
    for process in server.processes():
        try:
            names.setdefault(process.pid, named(process.cmdline()) or process.name())
            seen.setdefault(process.pid, []).append((asked, round(process.memory_info().rss / 2**20, 2)))
        except psutil.Error:
            continue


def named(line: Sequence[str]) -> str:
    """A command line without folders; what writes a title of its own has all of it in one part."""
    return " ".join(word.rpartition("/")[2] for word in " ".join(line).split())[:60]


HEAD = ["process", "first MB", "warm MB", "last MB", "MB a million requests"]


def lines(results: dict[str, Any]) -> list[list[str]]:
    """A row for each process, the one that grew most first."""
    ordered = sorted(results["processes"], key=lambda one: -one["mb_a_million"])
    return [
        [
            one["process"],
            f"{one['first_mb']:.1f}",
            f"{one['warm_mb']}",
            f"{one['last_mb']:.1f}",
            f"{one['mb_a_million']:.2f}",
        ]
        for one in ordered
    ]
