"""What is kept is read again, and whatever stands there costs nothing but what was learned."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.batching.latency_model import Estimate
from serving.batching.learned import Learned
from serving.inference import VersionKey
from serving.processes.estimates_file import EstimatesFile
from serving.processes.events import Event
from serving.processes.learned_estimates import LearnedEstimates

KNOWN = [Learned("default", VersionKey("m", 1), "5-1", Estimate(0.002, 0.0001, 1.5), 40)]


async def test_the_next_session_reads_what_this_one_kept(tmp_path: Path) -> None:
    events: list[Event] = []
    path = tmp_path / "state" / "estimates.json"
    assert EstimatesFile(path, events.append).read() == []
    await EstimatesFile(path, events.append).save(LearnedEstimates(KNOWN))
    assert EstimatesFile(path, events.append).read() == KNOWN
    assert [file.name for file in path.parent.iterdir()] == ["estimates.json"]
    assert events == []


async def test_nothing_is_written_that_is_there_already(tmp_path: Path) -> None:
    path = tmp_path / "estimates.json"
    file = EstimatesFile(path, lambda _: None)
    await file.save(LearnedEstimates(KNOWN))
    path.unlink()
    await file.save(LearnedEstimates(KNOWN))
    assert not path.exists()
    await file.save(LearnedEstimates())
    assert EstimatesFile(path, lambda _: None).read() == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\x00",
        b"[]",
        b"{}",
        b'{"format": 2, "estimates": []}',
        b'{"format": 1}',
        b'{"format": 1, "estimates": 5}',
        b'{"format": 1, "estimates": [["default", "m", 1, "5-1", -1, 0, 1, 1]]}',
    ],
)
def test_what_cannot_be_read_is_told_once_and_costs_nothing(tmp_path: Path, content: bytes) -> None:
    events: list[Event] = []
    path = tmp_path / "estimates.json"
    path.write_bytes(content)
    assert EstimatesFile(path, events.append).read() == []
    (event,) = events
    assert event.kind == "trouble"
    assert event.text.startswith(f"{path}: ")
    assert event.text.endswith("; run times are learned anew")


async def test_a_place_that_cannot_be_written_is_told_once(tmp_path: Path) -> None:
    events: list[Event] = []
    (tmp_path / "state").write_bytes(b"a file")
    file = EstimatesFile(tmp_path / "state" / "estimates.json", events.append)
    for _ in range(3):
        await file.save(LearnedEstimates(KNOWN))
    assert ["cannot be written" in event.text for event in events] == [True]
