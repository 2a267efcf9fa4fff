"""Outcomes beside what was served."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serving.errors import ConfigInvalid
from serving.features.plan import ReadPlan
from serving.features.served_log import entity_ids
from serving.features.served_log.entry import Entry
from serving.features.served_log.log_files import LogFiles, LogOptions
from serving.features.served_log.outcomes import join_outcomes
from serving.inference import VersionKey
from tests.unit.features.served_log.served import entry_of
from tests.unit.features.test_plan import INSTANCE


@pytest.fixture(params=[True, False], ids=["hashed", "plain"])
def served(request: pytest.FixtureRequest, tmp_path: Path, plan: ReadPlan) -> Path:
    folder = tmp_path / "served"
    files = LogFiles(LogOptions(folder, 60, 10**9, hash_ids=request.param), lambda: 0.0, lambda _: None)
    files.write(entry_of(plan, INSTANCE, request_id="r1"))
    files.write(entry_of(plan, {**INSTANCE, "tailnum": "007"}, request_id="r2"))
    files.close()
    return folder


def test_they_are_found_by_entity(served: Path, tmp_path: Path) -> None:
    (tmp_path / "late.csv").write_text("tailnum,late_min\n007,12.5\nnobody,1\n")
    assert join_outcomes(served, tmp_path / "late.csv", ["tailnum"], tmp_path / "out.parquet") == (1, 2)
    (row,) = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert (row["request_id"], row["outcome.late_min"]) == ("r2", 12.5)


def test_they_are_found_by_request_and_instance(served: Path, tmp_path: Path) -> None:
    (tmp_path / "late.csv").write_text("request_id,instance,late_min\nr1,0,3\nr2,5,4\n")
    on = ["request_id", "instance"]
    assert join_outcomes(served, tmp_path / "late.csv", on, tmp_path / "out.parquet") == (1, 2)
    (row,) = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert (row["request_id"], row["outcome.late_min"], row["prediction.y"]) == ("r1", 3, [0.0])


@pytest.mark.parametrize("kind", ["FP64", "INT64"])
def test_versions_whose_predictions_are_numbers_of_other_types_are_joined_together(
    served: Path, tmp_path: Path, plan: ReadPlan, kind: str
) -> None:
    _log_another(served, entry_of(plan, INSTANCE, INSTANCE, request_id="r3", key=VersionKey("late", 4), kind=kind))
    (tmp_path / "late.csv").write_text("request_id,instance,late_min\nr1,0,3\nr3,1,4\n")
    on = ["request_id", "instance"]
    assert join_outcomes(served, tmp_path / "late.csv", on, tmp_path / "out.parquet") == (2, 4)
    rows = pq.read_table(tmp_path / "out.parquet").sort_by("version").to_pylist()
    assert [(row["version"], row["prediction.y"]) for row in rows] == [(3, [0.0]), (4, [1.0])]


def test_a_column_that_is_text_elsewhere_is_told(served: Path, tmp_path: Path) -> None:
    pq.write_table(pa.table({"request_id": ["r9"], "prediction.y": [["late"]]}), served / "served-other.parquet")
    (tmp_path / "late.csv").write_text("request_id,late_min\nr1,3\n")
    with pytest.raises(ConfigInvalid, match=r"prediction\.y has incompatible types.*are joined one by one"):
        join_outcomes(served, tmp_path / "late.csv", ["request_id"], tmp_path / "out.parquet")


def test_ids_of_outcomes_are_hashed_once_for_all_files(
    served: Path, tmp_path: Path, plan: ReadPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    _log_another(served, entry_of(plan, INSTANCE, key=VersionKey("late", 4)))
    asked: list[Path] = []
    hashed = entity_ids.hashed

    def counted(folder: Path) -> Callable[[str], str]:
        asked.append(folder)
        return hashed(folder)

    monkeypatch.setattr(entity_ids, "hashed", counted)
    (tmp_path / "late.csv").write_text("tailnum,late_min\nN1,12.5\n")
    assert join_outcomes(served, tmp_path / "late.csv", ["tailnum"], tmp_path / "out.parquet") == (2, 3)
    assert len(asked) <= 1


def _log_another(served: Path, entry: Entry) -> None:
    """A file of its own, with ids as the others have them."""
    files = LogFiles(LogOptions(served, 60, 10**9, hash_ids=(served / "ids.key").exists()), lambda: 0.0, lambda _: None)
    files.write(entry)
    files.close()


@pytest.mark.parametrize(
    ("table", "on", "why"),
    [
        ("tailnum,y\n1,2\n1,3\n", "tailnum", "two rows with tailnum=1"),
        ("tailnum,y\n1,2\n", "nothing", "has no column 'nothing'; it has tailnum, y"),
        ("y,z\n1,2\n", "y", "cannot be joined on 'y'; permitted: request_id, instance, tailnum"),
        ("", "y", "cannot be joined"),
    ],
)
def test_what_cannot_be_joined_is_a_sentence(served: Path, tmp_path: Path, table: str, on: str, why: str) -> None:
    (tmp_path / "late.csv").write_text(table)
    with pytest.raises(ConfigInvalid, match=why):
        join_outcomes(served, tmp_path / "late.csv", [on], tmp_path / "out.parquet")
