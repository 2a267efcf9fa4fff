"""`sluice predict --file`: killed, stopped or left alone, each row has the answer that onnxruntime gives it, once."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from deployments.flights import sample
from serving.cli.demo_features import load_tables
from serving.config.effective import effective
from serving.features.store.redis_store import RedisStore
from serving.testing.models import mlp, raises_on_13, save
from tests.e2e.sluice_up import PROGRAM, SluiceUp, environment
from tests.e2e.tensors import Array, run_alone
from tests.unit.runtime.turns_told import short_ns, told

ROWS = 150_000
WIDTH = 32
KILLS = 6
FOREVER_S = 60.0
SENDERS = 4
INTERRUPTED = 130


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    save(root, "mlp", 1, mlp())
    save(root, "raises", 1, raises_on_13())
    return root


@pytest.fixture(scope="module")
def session(models: Path) -> Iterator[SluiceUp]:
    session = SluiceUp("--models", str(models))
    try:
        yield session.wait_until_ready()
        session.close()
    finally:
        session.destroy()


@pytest.fixture(scope="module")
def rows() -> Array:
    return np.random.default_rng(6).normal(size=(ROWS, WIDTH)).astype(np.float32)


@pytest.fixture(scope="module")
def table(rows: Array, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "in.parquet"
    columns = {"id": pa.array([f"r{n}" for n in range(ROWS)])} | {f"f{n}": rows[:, n] for n in range(WIDTH)}
    pq.write_table(pa.table(columns), path, row_group_size=20_000)
    return path


def started(session: SluiceUp, model: str, table: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    arguments = ("--file", str(table), "--out", str(out), "--url", session.url, *more)
    return subprocess.Popen(
        [*PROGRAM, "predict", model, *arguments],
        cwd=out.parent,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(running: subprocess.Popen[str]) -> tuple[int, str, str]:
    try:
        out, err = running.communicate(timeout=FOREVER_S)
    finally:
        running.kill()
    return running.returncode, out, err


def answered_rows(out: Path) -> int:
    """Rows whose answers are safe; -1 before the first journal."""
    try:
        found: int = json.loads((out.with_name(f"{out.name}.partial") / "journal.json").read_bytes())["progress"][
            "rows"
        ]
    except FileNotFoundError:
        return -1
    return found


def wait_for_more(running: subprocess.Popen[str], out: Path, than: int) -> None:
    ends = time.monotonic() + FOREVER_S
    while answered_rows(out) <= than and running.poll() is None:
        assert time.monotonic() < ends
        time.sleep(0.01)


def as_onnxruntime(models: Path, rows: Array, out: Path) -> None:
    """Every row is there once, in its order, with its own answer; nothing else is left."""
    found = pq.read_table(out)
    assert found.column("id").to_pylist() == [f"r{n}" for n in range(ROWS)]
    assert set(found.column("model_version").to_pylist()) == {1}
    predicted = np.array(found.column("prediction").combine_chunks().flatten()).reshape(ROWS, 2)
    expected = run_alone(models / "mlp" / "1" / "model.onnx", {"input": rows})["probabilities"]
    np.testing.assert_allclose(predicted, expected, rtol=2e-5, atol=1e-6)
    assert not out.with_name(f"{out.name}.partial").exists()


@pytest.mark.slow
def test_killed_at_any_moment_and_begun_again_each_row_is_written_once(
    session: SluiceUp, models: Path, rows: Array, table: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.parquet"
    moments = random.Random(6)
    killed = 0
    for _ in range(KILLS):
        running = started(session, "mlp", table, out)
        wait_for_more(running, out, answered_rows(out) if moments.random() < 0.7 else -2)
        time.sleep(moments.random() * 0.3)
        killed += running.poll() is None
        running.kill()
        ended(running)
        if out.exists():
            break
    assert killed > 1
    code, said, err = ended(started(session, "mlp", table, out))
    assert (code, err) == (0, "")
    assert "predicted 150,000 rows into " in said
    as_onnxruntime(models, rows, out)


def test_stopped_it_says_how_to_go_on_and_goes_on(
    session: SluiceUp, models: Path, rows: Array, table: Path, tmp_path: Path
) -> None:
    for how in (signal.SIGINT, signal.SIGTERM):
        _stop_and_go_on(session, table, tmp_path / "out.parquet", how)
        as_onnxruntime(models, rows, tmp_path / "out.parquet")
        (tmp_path / "out.parquet").unlink()


def _stop_and_go_on(session: SluiceUp, table: Path, out: Path, how: signal.Signals) -> None:
    running = started(session, "mlp", table, out)
    wait_for_more(running, out, -1)
    running.send_signal(how)
    code, said, err = ended(running)
    assert (code, said) == (130, "")
    before = answered_rows(out)
    assert err.startswith(f"sluice: stopped; {before:,} rows are answered and kept in {out}.partial; the same command")
    assert not out.exists()
    code, said, _ = ended(started(session, "mlp", table, out, "--json"))
    assert code == 0
    assert json.loads(said)["answered_before"] == before


def _with_all_its_senders(running: subprocess.Popen[str]) -> list[int]:
    """Its threads, when each sender has begun; the first journal is written before them."""
    ends = time.monotonic() + FOREVER_S
    while True:
        threads = [int(thread.name) for thread in Path(f"/proc/{running.pid}/task").iterdir()]
        if len(threads) > SENDERS:
            return threads
        assert running.poll() is None
        assert time.monotonic() < ends
        time.sleep(0.01)


@pytest.mark.slow
def test_it_keeps_to_one_core_and_yields_and_the_gateway_asks_for_short_turns(
    session: SluiceUp, table: Path, tmp_path: Path
) -> None:
    running = started(session, "mlp", table, tmp_path / "out.parquet")
    threads = _with_all_its_senders(running)
    cores = [os.sched_getaffinity(thread) for thread in threads]
    policies = {os.sched_getscheduler(thread) for thread in threads}
    running.send_signal(signal.SIGTERM)
    assert ended(running)[0] == INTERRUPTED
    assert policies == {os.SCHED_BATCH}
    assert {len(one) for one in cores} == {1} == {len(set.union(*cores))}
    (gateway,) = [one for one in session.look() if "gateway_worker" in " ".join(one.cmdline())]
    turn_ns = told(gateway.pid)[2]
    assert turn_ns == short_ns(turn_ns)


@pytest.mark.slow
def test_a_gateway_that_is_killed_and_comes_back_costs_nothing(
    models: Path, rows: Array, table: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.parquet"
    first = SluiceUp("--models", str(models))
    second: SluiceUp | None = None
    try:
        first.wait_until_ready()
        running = started(first, "mlp", table, out)
        wait_for_more(running, out, -1)
        first.process.kill()
        assert not first.remains()
        assert running.poll() is None
        second = SluiceUp("--models", str(models), "--http-port", str(first.port))
        second.wait_until_ready()
        code, _, err = ended(running)
        assert (code, err) == (0, "")
        as_onnxruntime(models, rows, out)
        second.close()
    finally:
        first.destroy()
        if second is not None:
            second.destroy()


def test_without_patience_it_ends_where_nothing_answers_and_keeps_what_it_has(
    models: Path, table: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.parquet"
    session = SluiceUp("--models", str(models))
    try:
        session.wait_until_ready()
        running = started(session, "mlp", table, out, "--patience", "0.5")
        wait_for_more(running, out, -1)
        session.process.kill()
        code, _, err = ended(running)
    finally:
        session.destroy()
    assert code == 3
    assert "the gateway does not answer since" in err
    assert err.count("\n") == 1
    assert (out.with_name("out.parquet.partial") / "journal.json").exists()


def test_formats_are_converted_freely(
    session: SluiceUp, models: Path, rows: Array, table: Path, tmp_path: Path
) -> None:
    some = pq.read_table(table).slice(0, 500)
    pacsv.write_csv(some, tmp_path / "in.csv")
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in some.to_pylist()))
    pq.write_table(some, tmp_path / "in.parquet")
    expected = run_alone(models / "mlp" / "1" / "model.onnx", {"input": rows[:500]})["probabilities"]
    for before in ("csv", "jsonl", "parquet"):
        for after in ("csv", "jsonl", "parquet"):
            out = tmp_path / f"{before}.{after}"
            code, _, err = ended(started(session, "mlp", tmp_path / f"in.{before}", out, "--keep", "id"))
            assert (code, err) == (0, "")
            found = written(out)
            assert [row["id"] for row in found] == [f"r{n}" for n in range(500)]
            predicted = np.array([row["prediction"] for row in found])
            np.testing.assert_allclose(predicted, expected, rtol=2e-5, atol=1e-6)


def written(path: Path) -> list[dict[str, object]]:
    """The rows of an output, lists as lists."""
    if path.suffix == ".parquet":
        return list(pq.read_table(path).to_pylist())
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    with path.open(newline="") as file:
        return [row | {"prediction": json.loads(row["prediction"])} for row in csv.DictReader(file)]


def test_a_row_that_the_model_refuses_is_found_and_the_others_are_predicted(session: SluiceUp, tmp_path: Path) -> None:
    table, out, rejects = tmp_path / "in.csv", tmp_path / "out.csv", tmp_path / "rejects.csv"
    numbers = [*range(14, 120), 13, *range(200, 250)]
    table.write_text("x\n" + "".join(f"{number}\n" for number in numbers) + "word\n")
    code, _, err = ended(started(session, "raises", table, out))
    assert code == 1
    assert err.startswith("sluice: row 107: ")
    assert "--rejects FILE" in err
    code, _, err = ended(started(session, "raises", table, out, "--rejects", str(rejects)))
    assert code == 1
    assert f"2 rows of 158 rejected, see {rejects}; the first: row 107: " in err
    with out.open(newline="") as file:
        assert [int(float(row["x"])) for row in csv.DictReader(file)] == [one for one in numbers if one != 13]
    with rejects.open(newline="") as file:
        assert [(row["row"], row["x"]) for row in csv.DictReader(file)] == [("107", "13"), ("158", "word")]


def test_flights_by_their_ids_are_answered_as_their_finished_rows(tmp_path: Path) -> None:
    flights = sample.load_test_flights()
    names = list(flights.flights[0].instance())
    table, out = tmp_path / "flights.csv", tmp_path / "out.jsonl"
    with table.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow([*names, "name"])
        lines.writerows([*flight.instance().values(), flight.name] for flight in flights.flights)
        lines.writerow(["none such", *list(flights.flights[0].instance().values())[1:], "unknown"])
    session = SluiceUp("--models", str(sample.MODELS), "--config", str(sample.CONFIGURATION))
    try:
        session.wait_until_ready()
        with RedisStore(f"unix://{session.run_dir}/features.sock") as store:
            load_tables(store, effective(sample.CONFIGURATION, {}, {}).settings)
        code, _, err = ended(started(session, "flight-delay", table, out, "--keep", "name"))
        session.close()
    finally:
        session.destroy()
    assert (code, err) == (0, "")
    *found, unknown = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["name"] for row in found] == [flight.name for flight in flights.flights]
    version = found[0]["model_version"]
    expected = run_alone(sample.MODELS / "flight-delay" / str(version) / "model.onnx", {"input": flights.rows})
    np.testing.assert_allclose([row["probabilities"] for row in found], expected["probabilities"], rtol=2e-5, atol=1e-6)
    assert [row["label"] for row in found] == expected["label"].tolist()
    # What is told is told of a request, which has many rows.
    assert "plane=not_found" in unknown["degraded"]
    assert "plane=not_found" not in found[0]["degraded"]
