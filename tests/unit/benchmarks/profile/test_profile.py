"""Samples of perf, told apart by process and library, and the page of them."""

from __future__ import annotations

import pytest

from benchmarks.profile.page import render
from benchmarks.profile.samples import Sample, counts, library, parse

SCRIPT = """
          python   812  ffffffff810a1b2c ([kernel.kallsyms])
       ray::IDLE   930      7f3a5c0d2e10 (/usr/lib/libpython3.11.so.1.0)
         swapper     0  ffffffff81e0a0b1 ([kernel.kallsyms])
             wrk   999      55d1c0a0f010 (/usr/bin/wrk)
       my server   500      55d1c0a0f010 ([unknown])
no sample at all
"""


def test_a_sample_is_a_name_a_process_and_a_file() -> None:
    assert parse(SCRIPT) == [
        Sample("python", 812, "[kernel.kallsyms]"),
        Sample("ray::IDLE", 930, "/usr/lib/libpython3.11.so.1.0"),
        Sample("swapper", 0, "[kernel.kallsyms]"),
        Sample("wrk", 999, "/usr/bin/wrk"),
        Sample("my server", 500, "[unknown]"),
    ]


def test_samples_are_counted_by_process_and_library_and_those_of_nobody_are_left_out() -> None:
    assert counts(parse(SCRIPT), {812: "gateway worker", 930: "replica"}) == {
        "gateway worker": {"kernel": 1},
        "replica": {"interpreter, C library": 1},
        "client": {"rest": 1},
        "everybody else": {"rest": 1},
    }


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("/env/site-packages/sluice_hot_path__mypyc.cpython-311-x86_64-linux-gnu.so", "compiled hot path"),
        ("/env/site-packages/uvloop/loop.cpython-311-x86_64-linux-gnu.so", "uvloop"),
        ("/env/site-packages/onnxruntime/capi/onnxruntime_pybind11_state.so", "onnxruntime"),
        ("/env/site-packages/numpy/_core/_multiarray_umath.so", "NumPy"),
        ("/lib/x86_64-linux-gnu/libc.so.6", "interpreter, C library"),
        ("[vdso]", "kernel"),
        ("/env/lib/python3.11/lib-dynload/_struct.so", "rest"),
    ],
)
def test_a_file_belongs_to_a_library(file: str, name: str) -> None:
    assert library(file) == name


def test_the_page_has_a_line_for_each_process_that_took_part_and_none_for_a_trifle() -> None:
    load = {
        "contender": "sluice-ray",
        "workload": "binary",
        "callers": 64,
        "per_second": 40_000.0,
        "cores": 2,
        "us": {
            "gateway worker": {"kernel": 8.0, "orjson": 1.5},
            "replica": {"onnxruntime": 2.0},
            "everybody else": {"rest": 0.01},
        },
    }
    text = render({"began": "2026-11-27", "seconds": 5.0, "machine": {"commit": "abc"}, "loads": [load]})
    lines = [line for line in text.splitlines() if line.startswith("| ")][2:]
    assert lines == [
        "| ray, binary tensors, 64 (40,000) | gateway worker | 8.0 | 0.0 | 0.0 | 0.0 | 1.5 | 0.0 | 0.0 | 0.0 | 9.5 |",
        "|  | replica | 0.0 | 0.0 | 0.0 | 0.0 | 0.0 | 2.0 | 0.0 | 0.0 | 2.0 |",
        "|  | idle |  |  |  |  |  |  |  |  | 38.5 |",
    ]
