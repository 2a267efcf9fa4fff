"""One run of the conformance suite: discover, check, show, write the report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import orjson

from serving.cli.conformance_tables import failures, result_table, summary
from serving.cli.output import console, note, print_json
from serving.conformance.check import Check
from serving.conformance.discovery import Wanted, discover
from serving.conformance.report import Run, document
from serving.conformance.runner import run


def check_server(wanted: Wanted, checks: Sequence[Check], json_file: Path | None, *, unadvertised: bool) -> bool:
    """Whether the server keeps every promise that counts.

    Raises:
        NotReachable: nothing answers there.
        ValueError: the URL is none.
    """
    server = discover(wanted)
    if not server.models:
        note("the server lists no model; name one with --model, or most checks are skipped")
    began, clock = datetime.now(UTC), time.perf_counter()
    results = list(run(checks, server, unadvertised=unadvertised))
    done = Run(wanted.url, results, version("sluice-gateway"), began, time.perf_counter() - clock)
    server.close()
    report = document(done, server)
    if json_file == Path("-"):
        print_json(report)
        return done.conforms
    out = console()
    out.print(result_table(results))
    for line in (*failures(results), summary(done)):
        out.print(line)
    if json_file is not None:
        json_file.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return done.conforms
