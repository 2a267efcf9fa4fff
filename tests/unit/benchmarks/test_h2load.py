"""What the load generator of gRPC tells."""

from __future__ import annotations

import pytest

from benchmarks.h2load import framed, parse

PRINTED = """
finished in 2.00s, 500.00 req/s, 60.00KB/s
requests: 1010 total, 1012 started, 1010 done, 1000 succeeded, 10 failed, 1 errored, 3 timeout
status codes: 1000 2xx, 0 3xx, 10 4xx, 0 5xx
traffic: 98.63KB (101000) total, 20.00KB (20480) headers (space savings 80.00%), 4.00KB (4096) data
"""


def test_a_message_is_framed_as_grpc_does() -> None:
    assert framed(b"abc") == b"\x00\x00\x00\x00\x03abc"


def test_failed_answers_are_no_throughput() -> None:
    load = parse(PRINTED, list(range(1, 1011)), 2.0)
    assert load.per_second == pytest.approx(500)
    assert (load.failed, load.late) == (11, 3)
    assert (load.p50_us, load.max_us, load.answer_bytes) == (505.5, 1010, 100)


def test_another_form_of_figures_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="another form"):
        parse("nothing", [1], 2.0)
