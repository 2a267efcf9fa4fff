"""What a run knows survives its death at any moment, and is nobody else's."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.bulk.state import Identity, State
from serving.bulk.stopped import BulkStopped
from serving.errors import BadRequest

SCHEMA = pa.schema([pa.field("row", pa.int64())])
SIZES = st.lists(st.integers(1, 5), max_size=8)


def identity(folder: Path) -> Identity:
    table = folder / "in.csv"
    if not table.exists():
        table.touch()
    return Identity.of(table, "m", None, asked="columns", answers=SCHEMA)


def begun(folder: Path, who: Identity | None = None, *, restart: bool = False) -> State:
    state = State(folder / "out.csv")
    state.begin(who or identity(folder), SCHEMA, restart=restart)
    return state


def add(state: State, rows: int) -> None:
    before = state.progress.rows
    state.add(pa.record_batch({"row": pa.array(range(before, before + rows), pa.int64())}), 0, "")


def kept(state: State) -> list[int]:
    return [row for batch in state.answers() for row in batch.column("row").to_pylist()]


@given(saved=SIZES, unsaved=SIZES, garbage=st.binary(max_size=50), again=SIZES)
def test_after_a_death_at_any_moment_what_was_saved_is_there_and_nothing_else(
    saved: list[int], unsaved: list[int], garbage: bytes, again: list[int]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        state = begun(folder)
        for rows in saved:
            add(state, rows)
        state.save()
        for rows in unsaved:
            add(state, rows)
        state.close()
        with (state.folder / "answers.arrow").open("ab") as file:
            file.write(garbage)
        after = begun(folder)
        assert after.progress.rows == sum(saved)
        for rows in again:
            add(after, rows)
        after.save()
        assert kept(after) == list(range(sum(saved) + sum(again)))
        after.close()


def test_one_run_at_a_time_has_the_folder(tmp_path: Path) -> None:
    first = begun(tmp_path)
    with pytest.raises(BadRequest, match="another run writes"):
        begun(tmp_path)
    first.close()
    begun(tmp_path).close()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"model": "other"}, "it is of m, and now other is asked"),
        ({"version": 2}, "now m/2 is asked"),
        ({"file": "/elsewhere.csv"}, "it is of "),
        ({"size": 5}, "has changed since"),
        ({"changed_ns": 5}, "has changed since"),
        ({"asked": "others"}, "the columns it is sent are others now"),
        ({"answers": "others"}, "the columns it is sent are others now"),
    ],
)
def test_another_run_is_refused_with_what_to_do(tmp_path: Path, changed: dict[str, object], says: str) -> None:
    was = identity(tmp_path)
    state = begun(tmp_path, was)
    add(state, 3)
    state.save()
    state.close()
    with pytest.raises(BadRequest) as refused:
        begun(tmp_path, dataclasses.replace(was, **changed))  # type: ignore[arg-type] # names of its fields
    assert says in refused.value.message
    assert "--restart" in refused.value.message
    anew = begun(tmp_path, dataclasses.replace(was, **changed), restart=True)  # type: ignore[arg-type] # see above
    assert anew.progress.rows == 0
    assert kept(anew) == []
    anew.close()


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"format": 99}', b"\xff"])
def test_a_journal_of_another_release_is_refused(tmp_path: Path, content: bytes) -> None:
    begun(tmp_path).close()
    (tmp_path / "out.csv.partial" / "journal.json").write_bytes(content)
    with pytest.raises(BadRequest, match="not written by this release; begin anew with --restart"):
        begun(tmp_path)


def test_a_table_that_is_changed_meanwhile_is_told(tmp_path: Path) -> None:
    state = begun(tmp_path)
    state.refuse_changed()
    (tmp_path / "in.csv").write_text("more")
    with pytest.raises(BulkStopped, match="was changed meanwhile"):
        state.refuse_changed()
    state.close()


def test_nothing_is_left_of_a_run_that_is_done(tmp_path: Path) -> None:
    state = begun(tmp_path)
    state.remove()
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]
