"""A table goes through the lane: stopped and begun again at any moment, each row is written once, in its order."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.bulk import lane as lane_module
from serving.bulk import table_input
from serving.bulk.answer import Answered
from serving.bulk.asking import Asker, Reply, Shared
from serving.bulk.column_fit import ColumnFit, Wishes, fit
from serving.bulk.encoding import Body, Encoded, encode
from serving.bulk.finish import Target, Watch, refuse_target, write_out
from serving.bulk.lane import Job, Lane
from serving.bulk.model_form import ModelForm, TensorForm
from serving.bulk.records import record_schema
from serving.bulk.senders import Senders
from serving.bulk.state import Identity, State
from serving.bulk.stopped import BulkStopped
from serving.bulk.table_input import open_table
from serving.errors import BadRequest
from tests.unit.bulk.gateways import Stop, shared_of

FORM = ModelForm("m", (TensorForm("x", "INT64", (-1, 1)),), (TensorForm("y", "INT64", (-1,)),), max_rows=8)


class Doubling:
    """Answers twice the number in each row; refuses `bad` numbers, and stops the run after so many requests."""

    def __init__(self, shared: Shared, bad: set[int], requests: int) -> None:
        self._shared, self._bad, self._left = shared, bad, requests
        self.rows = 0

    def ask(self, body: Body) -> Reply:
        if self._left == 0:
            self._shared.stop.set()
        self._left -= 1
        values = memoryview(body.parts[1]).cast("q").tolist()
        if self._bad & set(values):
            return Reply(400, {}, b'{"error": "unlucky"}')
        self.rows += len(values)
        return Reply(200, {}, b",".join(b"%d" % (2 * value) for value in values))


def read(reply: Reply, rows: int) -> Answered:
    return Answered({"y": pa.array([int(one) for one in reply.body.split(b",")])}, 1, None)


def table(folder: Path, rows: int) -> Path:
    path = folder / "in.csv"
    path.write_text("id,x\n" + "".join(f"r{n},{n}\n" for n in range(rows)))
    return path


def run(
    path: Path, *, bad: Sequence[int] = (), requests: int = -1, limit: int | None = None, reject: bool = True
) -> int:
    """One start; how many rows the gateway answered."""
    opened = open_table(path)
    job = Job(opened, FORM, fit(FORM, opened.columns, Wishes()), limit, reject)
    output = path.with_name("out.csv")
    target = Target(output, path.with_name("rejects.csv") if reject else None, ("id",))
    refuse_target(target, path)
    schema = record_schema(FORM)
    state = State(output)
    shared = shared_of(Stop(), most=16)
    gateway = Doubling(shared, set(bad), requests)
    senders = Senders([Asker(gateway, read, shared)])
    try:
        state.begin(Identity.of(path, "m", None, asked=job.fit, answers=schema), schema, restart=False)
        Lane(job, state, senders, shared).run(lambda _rows: None)
        write_out(job, state, target, Watch(lambda _rows: None, shared.stop.is_set))
    finally:
        senders.close()
        state.close()
    return gateway.rows


def stopped(path: Path, bad: Sequence[int], requests: int, limit: int | None) -> bool:
    """One start that may be stopped after so many requests; whether it was."""
    try:
        run(path, bad=bad, requests=requests, limit=limit)
    except BulkStopped as why:
        return why.interrupted
    return False


def cells(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


@settings(deadline=None, max_examples=40)
@given(
    rows=st.integers(0, 200),
    stops=st.lists(st.integers(0, 12), max_size=4),
    bad=st.sets(st.integers(0, 200), max_size=3),
    limit=st.none() | st.integers(1, 250),
)
def test_stopped_and_begun_again_at_any_moment_each_row_is_written_once_in_its_order(
    rows: int, stops: list[int], bad: set[int], limit: int | None
) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = table(Path(name), rows)
        for requests in stops:
            if not stopped(path, sorted(bad), requests, limit):
                break
            assert not path.with_name("out.csv").exists()
        else:
            run(path, bad=sorted(bad), limit=limit)
        wanted = range(rows if limit is None else min(rows, limit))
        good = [[f"r{n}", str(2 * n), "1"] for n in wanted if n not in bad]
        assert cells(path.with_name("out.csv")) == [["id", "prediction", "model_version"], *good]
        wrong = [[str(n + 1), "unlucky", f"r{n}", str(n)] for n in wanted if n in bad]
        rejects = path.with_name("rejects.csv")
        assert (cells(rejects)[1:] if rejects.exists() else []) == wrong
        assert not path.with_name("out.csv.partial").exists()


def test_what_is_answered_is_not_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = table(tmp_path, 200)
    with pytest.raises(BulkStopped):
        run(path, requests=10)
    assert run(path) <= 200 - 9 * 8


def test_a_row_that_is_refused_ends_the_run_where_it_may_not_be_left_out(tmp_path: Path) -> None:
    path = table(tmp_path, 100)
    with pytest.raises(BulkStopped, match=r"^row 18: unlucky; --rejects FILE puts such rows there"):
        run(path, bad=[17], reject=False)
    assert not path.with_name("out.csv").exists()
    run(path, bad=[17])
    assert len(cells(path.with_name("out.csv"))) == 100


def test_a_file_of_which_every_row_is_refused_ends_early(tmp_path: Path) -> None:
    path = table(tmp_path, 3_000)
    with pytest.raises(BulkStopped, match=r"not one of the first 1,0.. rows was taken; row 1: unlucky"):
        run(path, bad=range(3_000))


def test_rows_that_do_not_run_together_are_asked_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []

    def body(self: Doubling, body: Body) -> Reply:
        sizes.append(len(memoryview(body.parts[1]).cast("q")))
        return ask(self, body)

    ask = Doubling.ask
    monkeypatch.setattr(Doubling, "ask", body)
    monkeypatch.setattr("tests.unit.bulk.test_lane.FORM", ModelForm("m", FORM.inputs, FORM.outputs, max_rows=0))
    run(table(tmp_path, 20))
    assert sizes == [1] * 20


def test_a_request_has_no_more_bytes_than_the_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []

    def body(self: Doubling, body: Body) -> Reply:
        sizes.append(len(memoryview(body.parts[1]).cast("q")))
        return ask(self, body)

    ask = Doubling.ask
    monkeypatch.setattr(Doubling, "ask", body)
    monkeypatch.setattr(lane_module, "_MOST_BYTES", 700)
    run(table(tmp_path, 100))
    assert max(sizes) < 8


def test_only_some_blocks_are_held_however_large_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_input, "_FIRST_BYTES", 100)
    ahead: list[int] = []
    read_rows = 0

    def counted(fitted: ColumnFit, batch: pa.RecordBatch) -> Encoded:
        nonlocal read_rows
        read_rows += batch.num_rows
        return encode(fitted, batch)

    def add(self: State, batch: pa.RecordBatch, rejected: int, first: str) -> None:
        added(self, batch, rejected, first)
        ahead.append(read_rows - self.progress.rows)

    added = State.add
    monkeypatch.setattr(State, "add", add)
    monkeypatch.setattr(lane_module, "encode", counted)
    run(table(tmp_path, 2_000))
    assert read_rows == 2_000
    assert max(ahead) < 100


@pytest.mark.parametrize(
    ("output", "rejects", "says"),
    [
        ("in.csv", None, "is the file that is read"),
        ("out.csv", "in.csv", "is the file that is read"),
        ("out.csv", "linked.csv", "is the file that is read"),
        ("out.csv", "folder.csv/../out.csv", "is where the predicted rows go"),
        ("out.txt", None, "must end with"),
        ("none/out.csv", None, "there is no folder"),
        ("folder.csv", None, "it is a folder"),
    ],
)
def test_what_cannot_be_written_is_refused_first(tmp_path: Path, output: str, rejects: str | None, says: str) -> None:
    path = table(tmp_path, 1)
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "linked.csv").symlink_to(path)
    with pytest.raises(BadRequest, match=says):
        refuse_target(Target(tmp_path / output, tmp_path / rejects if rejects else None, ()), path)
