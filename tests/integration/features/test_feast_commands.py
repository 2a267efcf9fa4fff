"""The commands of features and views that Feast keeps, run as a person does; a script stands in for Feast."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli.sluice_command import Ended, sluice, sluice_watched
from tests.integration.valkey_server import Server
from tests.unit.features.feast.recorded import recorded

pytestmark = pytest.mark.integration

CONFIG = """
feature_views:
  driver_stats:
    store: feast
    entity: [driver]
    feast: {project: flüge, join_keys: {driver: {type: int64, name: driver_id}}}
    features: {i64: int64, f64: float64}
"""
TOLD: dict[str, Any] = {
    "project": "p",
    "online_store": "redis",
    "address": "localhost:6379",
    "key_version": 3,
    "others": [],
    "views": [
        {
            "name": "v",
            "online": True,
            "ttl_s": 0,
            "join_keys": {"id": "INT64"},
            "features": {"x": "FLOAT", "w": "STRING"},
        }
    ],
}


class Feast:
    """A repository, and a Python that has something to tell of it."""

    def __init__(self, folder: Path) -> None:
        self.repo = folder / "repo"
        self.repo.mkdir()
        (self.repo / "feature_store.yaml").touch()
        self._python = folder / "python"

    def tells(self, text: str) -> None:
        self._python.write_text(f"#!/bin/sh\ncat >/dev/null\necho noise >&2\ncat <<'END'\n{text}\nEND\n")
        self._python.chmod(0o700)

    def imported(self, *arguments: str) -> Ended:
        return sluice("features", "import-feast", str(self.repo), "--python", str(self._python), *arguments)


@pytest.fixture
def feast(tmp_path: Path) -> Feast:
    return Feast(tmp_path)


def test_the_views_of_a_repository_become_a_configuration(feast: Feast, tmp_path: Path) -> None:
    feast.tells(json.dumps(TOLD))
    written = tmp_path / "views.yaml"
    ended = feast.imported("--output", str(written))
    assert (ended.code, ended.out) == (0, f"1 view of project p in {written}\n")
    assert ended.err == "left out: feature w of view v: is STRING, no number\n"
    assert sluice("config", "check", "--config", str(written)).code == 0
    assert feast.imported().out == written.read_text()


def test_who_watches_sees_that_feast_is_asked(feast: Feast, tmp_path: Path) -> None:
    feast.tells(json.dumps(TOLD))
    where = ("--python", str(tmp_path / "python"))
    watched = sluice_watched("features", "import-feast", str(feast.repo), *where, COLUMNS="200")
    assert watched.code == 0
    assert f"asking Feast what {feast.repo} has" in watched.err


def test_the_file_that_makes_a_repository_one_is_not_overwritten(feast: Feast) -> None:
    feast.tells(json.dumps(TOLD))
    described = feast.repo / "feature_store.yaml"
    described.write_text("project: p\n")
    ended = feast.imported("--output", str(described))
    assert (ended.code, described.read_text()) == (2, "project: p\n")
    assert ended.err == f"sluice: --output {described}: is a file that is read; name another one\n"


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ('{"missing": "feast"}', "Feast is not installed for "),
        ('{"missing": "redis"}', "Feast's environment lacks redis for "),
        ('{"error": "ValueError: no registry"}', "Feast cannot read the repository in "),
        ("Segmentation fault", "could not tell of "),
        (json.dumps({**TOLD, "views": []}), "has no feature view that can be read; has `feast apply` been run?"),
        (json.dumps({**TOLD, "online_store": "sqlite"}), "its online store is sqlite; Sluice reads Feast's Redis"),
    ],
)
def test_a_repository_that_cannot_be_read_is_one_line(feast: Feast, told: str, why: str) -> None:
    feast.tells(told)
    ended = feast.imported()
    assert (ended.code, ended.out) == (1, "")
    assert why in ended.err
    assert ended.err.count("\n") == 1


def test_a_python_without_feast_says_so(tmp_path: Path) -> None:
    (tmp_path / "feature_store.yaml").touch()
    ended = sluice("features", "import-feast", str(tmp_path))
    assert ended.code == 1
    assert "Feast is not installed for" in ended.err
    assert "with --python" in ended.err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["."], "there is no feature_store.yaml in .; name the folder of a Feast repository"),
        (["{repo}", "--python", "/no/python"], "--python /no/python: cannot be started: No such file or directory"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(feast: Feast, arguments: list[str], why: str) -> None:
    given = [argument.replace("{repo}", str(feast.repo)) for argument in arguments]
    ended = sluice("features", "import-feast", *given)
    assert (ended.code, ended.out, ended.err) == (2, "", f"sluice: {why}\n")


def test_a_row_of_feast_is_shown_and_neither_loaded_nor_set(server: Server, tmp_path: Path) -> None:
    row = next(row for row in recorded() if row.entity == {"driver_id": 2**63 - 1})
    server.client().hset(row.name, mapping={**row.hash})
    config, table = tmp_path / "sluice.yaml", tmp_path / "driver_stats.csv"
    config.write_text(CONFIG)
    table.write_text("driver,i64,f64\n1,2,3\n")
    flags = ("--config", str(config), "--redis-url", server.url)
    entity = ("--entity", f"driver={2**63 - 1}")
    shown = json.loads(sluice("features", "get", "driver_stats", *entity, "--json", *flags).out)
    assert shown["status"] == "present"
    assert shown["values"] == {"i64": row.values["i64"], "f64": row.values["f64"]}
    unknown = sluice("features", "get", "driver_stats", "--entity", "driver=5", *flags)
    assert (unknown.code, unknown.err) == (1, "sluice: there is no row of driver_stats, driver 5\n")
    wrong = sluice("features", "get", "driver_stats", "--entity", "driver=Zoë", *flags)
    assert wrong.code != 0
    assert "field 'driver' must be a whole number, since Feast's join key is int64; got 'Zoë'" in wrong.err
    for command in (["load", str(table)], ["set", "driver_stats", *entity, "--set", "i64=1"]):
        ended = sluice("features", *command, *flags)
        assert ended.code == 2
        assert "the rows of view 'driver_stats' are Feast's (store: feast), which Sluice only reads" in ended.err
        assert ended.err.count("\n") == 1
    assert server.client().hgetall(row.name) == row.hash
