"""What a process that died had in flight, as another one reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.backends.in_flight import InFlight, in_flight
from serving.inference import VersionKey

FIRST, SECOND = VersionKey("a model", 1), VersionKey("m", 2)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "gateway.in-flight"


def test_the_version_whose_run_is_in_progress_is_read_by_another_process(file: Path) -> None:
    writer = InFlight(file)
    numbers = [writer.number_of(key) for key in (FIRST, SECOND, FIRST)]
    assert numbers == [1, 2, 1]
    assert in_flight(file) is None
    writer.places[0] = writer.number_of(FIRST)
    assert in_flight(file) == FIRST
    writer.places[3] = writer.number_of(FIRST)
    assert in_flight(file) == FIRST
    writer.places[0] = writer.places[3] = 0
    assert in_flight(file) is None


def test_of_several_none_is_accused(file: Path) -> None:
    writer = InFlight(file)
    writer.places[0], writer.places[1] = writer.number_of(FIRST), writer.number_of(SECOND)
    assert in_flight(file) is None


def test_one_that_is_loaded_is_in_flight_and_makes_those_that_run_beside_it_innocent(file: Path) -> None:
    writer = InFlight(file)
    with writer.loading(SECOND):
        assert in_flight(file) == SECOND
        writer.places[0] = writer.number_of(FIRST)
        assert in_flight(file) is None
    assert in_flight(file) == FIRST


def test_more_that_are_loaded_than_there_are_places_do_no_harm(file: Path) -> None:
    writer = InFlight(file)
    loads = [writer.loading(VersionKey("m", number)) for number in range(40)]
    for load in loads:
        load.__enter__()
    writer.places[0] = writer.number_of(FIRST)
    for load in loads:
        load.__exit__(None, None, None)
    assert in_flight(file) == FIRST


def test_where_nothing_was_written_or_half_of_it_nobody_is_accused(file: Path, tmp_path: Path) -> None:
    assert in_flight(file) is None
    file.write_bytes(b"half")
    assert in_flight(file) is None
    writer = InFlight(tmp_path / "no" / "such" / "folder")
    writer.places[0] = writer.number_of(FIRST)
    InFlight().places[0] = 7
