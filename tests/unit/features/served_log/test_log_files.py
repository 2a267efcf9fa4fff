"""The files of the served-feature log."""

from __future__ import annotations

import logging
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from serving.features.plan import ReadPlan
from serving.features.served_log.log_files import GROUP_ROWS, LogFiles, LogOptions
from tests.unit.features.served_log.served import entry_of
from tests.unit.features.test_plan import INSTANCE


class Clock:
    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


def files_in(folder: Path, clock: Clock, *, most_bytes: int = 10**9, hash_ids: bool = False) -> LogFiles:
    options = LogOptions(folder, rotate_s=60, most_bytes=most_bytes, hash_ids=hash_ids)
    return LogFiles(options, clock, lambda _: None)


def test_a_file_is_seen_once_it_is_whole(tmp_path: Path, plan: ReadPlan) -> None:
    clock = Clock()
    files = files_in(tmp_path, clock)
    files.write(entry_of(plan, INSTANCE, INSTANCE))
    clock.time += 59
    files.turn()
    assert not list(tmp_path.glob("served-*"))
    clock.time += 1
    files.turn()
    (file,) = tmp_path.glob("served-late-3-*.parquet")
    rows = pq.read_table(file).to_pylist()
    assert [(row["instance"], row["prediction.y"], row["prediction.word"]) for row in rows] == [
        (0, [0.0], ["1"]),
        (1, [1.0], ["2"]),
    ]
    assert rows[0]["entity.tailnum"] == INSTANCE["tailnum"]
    assert (files.written, files.lost) == (2, 0)


def test_ids_are_hashed_alike_by_all_workers_and_by_no_other_folder(tmp_path: Path, plan: ReadPlan) -> None:
    ids = []
    for number, folder in enumerate(("a", "a", "b")):
        files = files_in(tmp_path / folder, Clock(), hash_ids=True)
        # Names of files hold the process, which is another one for each worker.
        files._number = number
        files.write(entry_of(plan, INSTANCE))
        files.close()
    for folder in ("a", "b"):
        for file in sorted((tmp_path / folder).glob("served-*")):
            ids += pq.read_table(file)["entity.tailnum"].to_pylist()
    first, second, other = ids
    assert first == second
    assert INSTANCE["tailnum"] not in ids
    assert first != other
    assert (tmp_path / "a" / "ids.key").stat().st_mode & 0o077 == 0


def test_the_oldest_files_go_where_all_are_too_large(tmp_path: Path, plan: ReadPlan) -> None:
    clock = Clock()
    files = files_in(tmp_path, clock, most_bytes=1)
    for _ in range(3):
        files.write(entry_of(plan, INSTANCE))
        files.close()
    assert not list(tmp_path.glob("served-*"))


def test_what_the_disk_refuses_is_counted_and_told_once(
    tmp_path: Path, plan: ReadPlan, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    files = files_in(tmp_path / "file", Clock())
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            files.write(entry_of(plan, INSTANCE))
        files.close()
    assert (files.written, files.lost) == (0, 3)
    assert len(caplog.records) == 1


def test_rows_are_counted_as_written_once_their_file_can_be_read(tmp_path: Path, plan: ReadPlan) -> None:
    files = files_in(tmp_path, Clock())
    for _ in range(GROUP_ROWS):
        files.write(entry_of(plan, INSTANCE))
    (part,) = tmp_path.glob(".*.part")
    assert (files.written, files.lost) == (0, 0)
    # As where somebody empties the folder.
    part.unlink()
    files.close()
    assert (files.written, files.lost) == (0, GROUP_ROWS)
    files.write(entry_of(plan, INSTANCE))
    files.close()
    assert (files.written, files.lost) == (1, GROUP_ROWS)


def test_a_file_that_the_disk_refused_a_part_of_is_given_up_and_the_next_one_is_whole(
    tmp_path: Path, plan: ReadPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = files_in(tmp_path, Clock())
    for _ in range(GROUP_ROWS):
        files.write(entry_of(plan, INSTANCE))
    with monkeypatch.context() as full:
        full.setattr(pq.ParquetWriter, "write_table", _no_space)
        for _ in range(GROUP_ROWS):
            files.write(entry_of(plan, INSTANCE))
    assert not list(tmp_path.iterdir())
    assert (files.written, files.lost) == (0, 2 * GROUP_ROWS)
    files.write(entry_of(plan, INSTANCE))
    files.close()
    (file,) = tmp_path.glob("served-*")
    assert pq.read_table(file).num_rows == files.written == 1


def test_an_entry_that_cannot_be_told_is_lost_as_a_whole(tmp_path: Path, plan: ReadPlan) -> None:
    files = files_in(tmp_path, Clock())
    entry = entry_of(plan, INSTANCE, INSTANCE)
    rows = entry.seen.rows
    # Of the second instance one view's key is missing.
    rows.keys = rows.keys[:-1]
    files.write(entry)
    files.close()
    assert (files.written, files.lost) == (0, 2)


def test_who_ends_is_in_a_hurry(tmp_path: Path, plan: ReadPlan) -> None:
    rests: list[float] = []
    files = LogFiles(LogOptions(tmp_path, rotate_s=60, most_bytes=10**9, hash_ids=False), Clock(), rests.append)
    files.write(entry_of(plan, INSTANCE))
    assert len(rests) == 1
    files.hurry()
    files.write(entry_of(plan, INSTANCE))
    files.close()
    assert len(rests) == 1


def _no_space(*_: object) -> None:
    raise OSError(28, "No space left on device")
