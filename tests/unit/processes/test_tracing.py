"""How the traces of a worker are put together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from serving.config.tracing_section import TracingSection
from serving.errors import ConfigInvalid
from serving.processes.tracing import receiver_headers, tracing_of
from serving.telemetry.catalogue import SPANS, TRACES
from serving.telemetry.recorder import Recorder
from serving.telemetry.tracing.tracer import Tracer


def test_without_a_receiver_there_is_nothing_to_pay_for() -> None:
    assert tracing_of(TracingSection(), "s", 0, Recorder()) is None


def test_its_figures_are_told() -> None:
    recorder = Recorder()
    tracing = tracing_of(TracingSection(endpoint="http://127.0.0.1:1"), "s", 0, recorder)
    assert tracing is not None
    tracing.tell(recorder)
    told = {(name, *labels) for name, labels, _ in recorder.snapshot()["counters"]}
    assert told == {
        *((TRACES.name, why) for why in ("sampled", "slow", "failed", "limited")),
        *((SPANS.name, outcome) for outcome in ("sent", "dropped", "lost")),
    }


def test_spans_that_cannot_be_made_are_no_matter_of_other_figures(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tracing = tracing_of(TracingSection(endpoint="http://127.0.0.1:1"), "s", 0, Recorder())
    assert tracing is not None

    def fail() -> None:
        raise OverflowError

    broken = cast("Tracer", SimpleNamespace(flush=fail, counts={}))
    replace(tracing, tracer=broken).tell(Recorder())
    assert "spans could not be made and are lost" in caplog.text


def test_a_worker_whose_file_of_headers_is_lost_says_so_and_serves_without_traces(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    section = TracingSection(endpoint="http://127.0.0.1:1", headers_file=str(tmp_path / "none"))
    assert tracing_of(section, "s", 0, Recorder()) is None
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "cannot be read: FileNotFoundError; requests are answered, and not traced" in caplog.text


def test_headers_for_the_receiver_are_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "headers"
    file.write_text("authorization: Bearer a:b\n\nx-team:  blue \n")
    assert receiver_headers(file) == {"authorization": "Bearer a:b", "x-team": "blue"}


@pytest.mark.parametrize("text", ["hunter2", "a b: hunter2", ": hunter2", "a: hunter2\x01"])
def test_what_is_no_header_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    file = tmp_path / "headers"
    file.write_text(f"good: one\n{text}\n")
    with pytest.raises(ConfigInvalid, match=r"line 2 of .* is no header") as refused:
        receiver_headers(file)
    assert "hunter2" not in refused.value.message


def test_a_file_of_headers_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match=r"tracing\.headers_file: .*none cannot be read: FileNotFoundError"):
        receiver_headers(tmp_path / "none")
