"""Samples of `perf script`, counted by process and library."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

# What a sample's file is called here: the first of these whose text is in its name.
LIBRARIES = {
    "kernel": ("[kernel", "[vdso]", ".ko"),
    "interpreter, C library": ("libpython", "/bin/python", "libc.so", "ld-linux", "libstdc++", "libpthread", "libm.so"),
    "compiled hot path": ("sluice_hot_path__mypyc",),
    "uvloop": ("uvloop",),
    "orjson": ("orjson",),
    "onnxruntime": ("onnxruntime",),
    "NumPy": ("numpy",),
}
REST = "rest"
CLIENT = "client"
OTHERS = "everybody else"

_LINE = re.compile(r"^\s*(?P<name>.+?)\s+(?P<pid>-?\d+)\s+[0-9a-f]+\s+\((?P<file>.*)\)\s*$")


class Sample(NamedTuple):
    """Where a core was at one moment; `name` is the thread's, `pid` 0 is nobody."""

    name: str
    pid: int
    file: str


def parse(text: str) -> list[Sample]:
    """Lines of name, process id, address and file in brackets; others are no samples."""
    return [
        Sample(found["name"], int(found["pid"]), found["file"])
        for line in text.splitlines()
        if (found := _LINE.match(line))
    ]


def counts(samples: Sequence[Sample], roles: Mapping[int, str]) -> dict[str, Counter[str]]:
    """Samples by role and library, those of nobody left out; who has no role is the client, by its name, or another."""
    found: dict[str, Counter[str]] = {}
    for sample in samples:
        # A core that is halted is not sampled each time, so nobody's time is what the others leave.
        if sample.pid:
            role = roles.get(sample.pid, CLIENT if sample.name == "wrk" else OTHERS)
            found.setdefault(role, Counter())[library(sample.file)] += 1
    return found


def library(file: str) -> str:
    """What a file belongs to."""
    for name, texts in LIBRARIES.items():
        if any(text in file for text in texts):
            return name
    return REST
