"""How the output and the rejects get their names; what is in them is seen in test_lane.py."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pyarrow as pa

from serving.bulk.finish import Target, name_outputs
from serving.bulk.table_output import RejectsFile


def test_rejects_of_any_size_are_copied_in_small_pieces(tmp_path: Path) -> None:
    unfinished, rejects = tmp_path / "unfinished.csv", RejectsFile(tmp_path / "unfinished.rejects.csv")
    unfinished.write_text("id\n")
    rejects.add(pa.record_batch({"row": [1], "reason": ["no" * 4_000_000]}))
    target = Target(tmp_path / "out.csv", tmp_path / "rejects.csv", ("id",))
    tracemalloc.start()
    try:
        name_outputs(unfinished, rejects, target)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 1_000_000
    assert (tmp_path / "rejects.csv").stat().st_size > 8_000_000
    assert (tmp_path / "out.csv").read_text() == "id\n"
