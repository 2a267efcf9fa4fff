"""The files of the served-feature log."""

from __future__ import annotations

import logging
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from serving.features.plan import ReadPlan
from serving.features.served_log.log_files import LogFiles, LogOptions
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
