"""A running session's plan follows what is written now; what cannot be used is said in the words of a start."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from serving.cli.planned_again import PlannedAgain
from serving.cli.session_models import planned
from serving.cli.session_options import SessionOptions
from serving.errors import ConfigInvalid
from serving.testing.models import doubler, save


@pytest.fixture
def again(tmp_path: Path) -> PlannedAgain:
    save(tmp_path / "models", "doubler", 1, doubler())
    write(tmp_path)
    options = SessionOptions(config=tmp_path / "sluice.yaml", models=tmp_path / "models", http_port=0)
    return PlannedAgain(options, planned(options.effective().settings))


def write(folder: Path, **sections: object) -> None:
    (folder / "sluice.yaml").write_text(json.dumps(sections))


def test_file_and_repository_are_read_anew_and_flags_stay(again: PlannedAgain, tmp_path: Path) -> None:
    save(tmp_path / "models", "another", 3, doubler())
    write(tmp_path, http={"port": 1, "max_rank": 3})
    plan = again()
    assert [(one.model, one.version) for one in plan.models] == [("another", 3), ("doubler", 1)]
    assert (plan.http_port, plan.config["http"]["max_rank"]) == (0, 3)


VIEW = {"v": {"entity": ["e"], "features": {"f": "float32"}}}
MISFIT = {"doubler": {"inputs": [{"name": "x", "features": ["v.f"]}]}}


@pytest.mark.parametrize(
    ("sections", "told"),
    [
        ({"models": {"nowhere": {}}}, "models.nowhere: the repository has no version of it"),
        ({"modles": {}}, "unknown key"),
        ({"feature_views": VIEW, "models": MISFIT}, "models.doubler, version 1: "),
    ],
)
def test_what_cannot_be_used_is_said(
    again: PlannedAgain, tmp_path: Path, sections: dict[str, object], told: str
) -> None:
    write(tmp_path, **sections)
    for _ in range(2):
        with pytest.raises(ConfigInvalid, match=told):
            again()


def test_what_is_broken_is_left_out_by_name_with_its_reason(again: PlannedAgain, tmp_path: Path) -> None:
    save(tmp_path / "models", "another", 3, doubler()).write_bytes(b"cut off")
    plan = again()
    assert [one.model for one in plan.models] == ["doubler"]
    assert list(plan.left_out) == ["another/3"]
    assert "another/3/model.onnx" in plan.left_out["another/3"]


def test_a_repository_that_has_been_emptied_is_said(again: PlannedAgain, tmp_path: Path) -> None:
    (tmp_path / "models" / "doubler" / "1" / "model.onnx").unlink()
    with pytest.raises(ConfigInvalid, match="has no model that can be served"):
        again()
