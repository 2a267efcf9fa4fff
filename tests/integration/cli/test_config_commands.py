"""`config` prints what holds, what is wrong, and what there is."""

from __future__ import annotations

import json
from pathlib import Path

from tests.integration.cli.sluice_command import sluice


def test_show_prints_each_value_and_where_it_came_from(tmp_path: Path) -> None:
    (tmp_path / "sluice.yaml").write_text("http: {idle_s: 5}\nstate: {control_url: 'redis://u:word@h'}\n")
    ended = sluice("config", "show", cwd=tmp_path, SLUICE_HTTP__PORT="9000")
    lines = {line.split()[0]: line for line in ended.out.splitlines() if line}
    assert "9000" in lines["http.port"]
    assert "environment SLUICE_HTTP__PORT" in lines["http.port"]
    assert "sluice.yaml line 1" in lines["http.idle_s"]
    assert "default" in lines["http.host"]
    assert "word" not in ended.out


def test_show_as_json_is_for_programs(tmp_path: Path) -> None:
    shown = json.loads(sluice("config", "show", "--json", cwd=tmp_path).out)
    assert shown["http.port"] == {"value": 8080, "origin": "default"}


def test_check_names_every_problem_and_ends_with_1(tmp_path: Path) -> None:
    (tmp_path / "sluice.yaml").write_text("http: {port: 99999}\nmodles: {}\n")
    ended = sluice("config", "check", cwd=tmp_path)
    assert ended.code == 1
    assert "http.port" in ended.err
    assert "did you mean models?" in ended.err
    assert "Traceback" not in ended.err


def test_check_as_json_has_one_entry_for_each_problem(tmp_path: Path) -> None:
    (tmp_path / "sluice.yaml").write_text("http: {port: 99999}\nmodles: {}\n")
    told = json.loads(sluice("config", "check", "--json", cwd=tmp_path).out)
    assert told["valid"] is False
    assert [line.split(" ")[0] for line in told["problems"]] == ["http.port", "modles"]
    assert json.loads(sluice("config", "check", "--json", "-c", "/nowhere", cwd=tmp_path).out)["problems"] == [
        "/nowhere cannot be read: No such file or directory"
    ]


def test_the_schema_is_json(tmp_path: Path) -> None:
    schema = json.loads(sluice("config", "schema", cwd=tmp_path).out)
    assert "http" in schema["properties"]


def test_up_with_a_wrong_file_is_wrong_usage_and_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "sluice.yaml").write_text("http: {prt: 1}\n")
    ended = sluice("up", "--models", ".", cwd=tmp_path)
    assert ended.code == 2
    assert "did you mean port?" in ended.err


def test_debug_shows_where_an_error_came_from(tmp_path: Path) -> None:
    ended = sluice("up", cwd=tmp_path, SLUICE_DEBUG="1")
    assert ended.code == 2
    assert "Traceback" in ended.err
