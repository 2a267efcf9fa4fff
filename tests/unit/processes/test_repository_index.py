"""The index tells what is served, and what is in the folder and is not, each once."""

from __future__ import annotations

from pathlib import Path

from serving.processes.repository_index import index_of
from serving.registry.repository import Repository
from serving.routing.table import Route, RouteTable, Served, Split
from serving.testing.models import doubler, save

TABLE = RouteTable(
    1,
    {"m": Route("m", "m", (Split("stable", 1, 10_000),), tuple(Served(version, "gateway") for version in (1, 2, 10)))},
)
DESCRIBED = {"hosted": {"m/1": {}}, "refused": {"m/2": "m/2/model.onnx: too large"}}


def test_served_versions_are_ready_refused_or_loading() -> None:
    assert index_of(TABLE, DESCRIBED, None) == [
        ("m", "1", "READY", ""),
        ("m", "2", "UNAVAILABLE", "m/2/model.onnx: too large"),
        ("m", "10", "LOADING", ""),
    ]


def test_the_folder_adds_what_is_not_served(tmp_path: Path) -> None:
    for version in (1, 2, 3, 10):
        save(tmp_path, "m", version, doubler())
    save(tmp_path, "other", 1, doubler())
    (tmp_path / "m" / "4").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.yaml").write_text("a: [")
    found = index_of(TABLE, DESCRIBED, Repository(tmp_path).listing())
    assert [(model, version, state) for model, version, state, _ in found] == [
        ("broken", "", "UNAVAILABLE"),
        ("m", "1", "READY"),
        ("m", "2", "UNAVAILABLE"),
        ("m", "3", "UNAVAILABLE"),
        ("m", "4", "UNAVAILABLE"),
        ("m", "10", "LOADING"),
        ("other", "1", "UNAVAILABLE"),
    ]
    reasons = {version: reason for model, version, _, reason in found if model == "m"}
    assert reasons["3"] == "not loaded"
    assert "there is no file model.onnx" in reasons["4"]
