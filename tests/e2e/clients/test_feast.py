"""What Feast itself writes and answers, read by the gateway's reader: the same values, and the expired are stale."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from serving.config.effective import effective
from serving.features.compilation import compile_plan
from serving.features.feast.feast_source import FeastSource, JoinKey
from serving.features.feast.hash_row import hash_rows
from serving.features.feature_view import FeatureView, feature
from serving.features.keys import row_key
from serving.features.model_inputs import ModelInputs
from serving.features.packed import RowLayout
from serving.features.plan import Found
from serving.features.store.node_reader import ReaderOptions
from serving.features.store.topology import feature_reader
from serving.inference import Signature, TensorSpec
from tests.e2e.clients.environments import environment
from tests.integration.cli.sluice_command import sluice
from tests.integration.valkey_server import Server
from tests.unit.features.feast.recorded import DTYPES, PROJECT

DRIVER = Path(__file__).parent / "drivers" / "feast_rows.py"
KEY_TYPES: Mapping[str, Any] = {"driver_id": "int64", "guest_name": "string", "zone_id": "int32"}
MAX_AGE_S = {"driver_stats": 86_400.0, "driver_trips": None, "guest_stats": 172_800.0, "guest_in_zone": 43_200.0}
PATIENT_S = 20.0

Answers = Mapping[str, Sequence[Mapping[str, Any]]]


@pytest.fixture(scope="module")
def feast() -> Iterator[tuple[Server, Path]]:
    """A server whose rows Feast wrote, and the folder with its repository and answers."""
    folder = Path(tempfile.mkdtemp(prefix="sluice-"))
    server = Server(folder)
    try:
        server.start()
        python = environment("feast") / "bin" / "python"
        said = subprocess.run(
            [python, DRIVER, folder, server.socket], capture_output=True, text=True, timeout=100, check=False
        )
        assert said.returncode == 0, said.stderr
        yield server, folder
    finally:
        server.close()
        shutil.rmtree(folder, ignore_errors=True)


def view_of(name: str, rows: Sequence[Mapping[str, Any]]) -> FeatureView:
    fields = tuple(rows[0]["entity"])
    source = FeastSource(PROJECT, name, tuple(JoinKey(field, KEY_TYPES[field]) for field in fields))
    return FeatureView(name, fields, tuple(feature(n, d) for n, d in DTYPES.items()), MAX_AGE_S[name], source)


def answers_in(folder: Path) -> Answers:
    answers: Answers = json.loads((folder / "answers.json").read_text())
    assert len(answers) == 4
    assert {len(rows) for rows in answers.values()} == {241}
    return answers


async def found_in(server: Server, views: Sequence[FeatureView], keys: Sequence[bytes]) -> Found:
    class Observer:
        def feature_values(self, *told: Any, **more: Any) -> None:
            raise AssertionError("a reader knows no features")

        def feature_read_failed(self, reason: str) -> None:
            raise AssertionError(reason)

    answer: asyncio.Future[Found | None] = asyncio.get_running_loop().create_future()
    reader = feature_reader(server.url, Observer(), ReaderOptions(timeout_s=PATIENT_S), hash_rows(views))
    await reader.start()
    try:
        reader.fetch(keys, answer, lambda who, found: who[0].set_result(found))
        async with asyncio.timeout(PATIENT_S):
            found = await answer
    finally:
        await reader.stop()
    assert found is not None
    return found


async def test_every_row_is_read_as_feast_answers_it(feast: tuple[Server, Path]) -> None:
    server, folder = feast
    answers = answers_in(folder)
    views = {name: view_of(name, rows) for name, rows in answers.items()}
    keys = {
        (name, place): row_key(views[name], list(row["entity"].values()))
        for name, rows in answers.items()
        for place, row in enumerate(rows)
    }
    found = await found_in(server, list(views.values()), list(keys.values()))
    unknown = 0
    for (name, place), key in keys.items():
        said, data = answers[name][place], found[key]
        if data is None:
            # Feast answers an id that it does not know with nulls of 1970.
            assert said["time_s"] == 0
            assert set(said["values"].values()) == {None}
            unknown += 1
            continue
        row = RowLayout(views[name]).unpack(data)
        assert row is not None
        assert dict(zip(DTYPES, row.values, strict=True)) == {one: said["values"][one] for one in DTYPES}, said
        assert row.event_time_ms == round(said["time_s"] * 1000)
    assert unknown == len(views)


async def test_a_row_older_than_the_ttl_is_stale_and_feast_answers_it_all_the_same(feast: tuple[Server, Path]) -> None:
    server, folder = feast
    for name, rows in answers_in(folder).items():
        view = view_of(name, rows)
        inputs = ModelInputs("m", (("x", (f"{name}.f64",)),), (view,))
        plan = compile_plan(inputs, Signature((TensorSpec("x", "FP64", (-1, 1)),), (TensorSpec("y", "FP32", (-1, 1)),)))
        asked = [plan.read([row["entity"]]) for row in rows]
        found = await found_in(server, [view], [key for one in asked for key in one.keys])
        expired = 0
        for one, row in zip(asked, rows, strict=True):
            filled = plan.tensors(one, found, int(time.time() * 1000))
            old = view.max_age_s is not None and time.time() - row["time_s"] > view.max_age_s
            if row["time_s"] == 0:
                assert filled.degraded == f"{name}=not_found"
            elif old:
                expired += row["values"]["f64"] is not None
                assert filled.degraded == f"{name}=stale"
            else:
                assert filled.degraded == ("" if row["values"]["f64"] is not None else f"{name}.f64=null")
        assert (expired > 30) == (view.max_age_s is not None)


def test_the_repository_is_imported_as_the_views_that_read_it(feast: tuple[Server, Path]) -> None:
    _, folder = feast
    python = environment("feast") / "bin" / "python"
    said = sluice("features", "import-feast", str(folder), "--python", str(python))
    assert said.code == 0, said.err
    config = folder / "views.yaml"
    config.write_text(said.out)
    sections = effective(config, {}, {}).settings.feature_views
    read = {name: section.compiled(name) for name, section in sections.items()}
    assert set(read) == set(MAX_AGE_S)
    for name, rows in answers_in(folder).items():
        wanted = view_of(name, rows)
        found = read[name]
        assert (found.features, found.max_age_s) == (wanted.features, wanted.max_age_s)
        assert found.feast is not None
        assert wanted.feast is not None
        assert set(found.feast.join_keys) == set(wanted.feast.join_keys)
    assert "has to name its Redis: 'localhost:6379,db=0'" in said.out, "and no password"
    assert "secret" not in said.out + said.err
    assert said.err.count("is STRING, no number") == len(MAX_AGE_S)
