"""A configuration is compared with the graphs of the models whose inputs it makes of features."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from serving.cli.config_check import checked
from serving.cli.main import main
from serving.testing.models import mlp, save

VIEWS = {"plane": {"entity": ["tailnum"], "features": {"year": "float32", "seats": "int64"}}}
FITS = ["plane.year", "request.hour"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file of the checkout is taken for the configuration."""
    monkeypatch.chdir(tmp_path)


def models(folder: Path, *widths: int) -> Path:
    for version, width in enumerate(widths, 1):
        save(folder / "models", "late", version, mlp(features=width))
    return folder / "models"


def configured(folder: Path, columns: list[str], **more: Any) -> Path:
    section = {"inputs": [{"name": "input", "features": columns}]}
    file = folder / "sluice.yaml"
    # JSON is YAML.
    file.write_text(json.dumps({"feature_views": VIEWS, "models": {"late": section}, **more}))
    return file


def test_the_file_of_headers_for_traces_is_read(tmp_path: Path) -> None:
    file = tmp_path / "headers"
    tracing = {"endpoint": "http://collector:4318", "headers_file": str(file)}
    config = configured(tmp_path, FITS, tracing=tracing)
    (problem,) = checked(config, models(tmp_path, 2)).problems
    assert problem == f"tracing.headers_file: {file} cannot be read: FileNotFoundError"
    file.write_text("authorization: Bearer a\n")
    assert not checked(config, models(tmp_path, 2)).problems


def test_what_fits_has_no_problem_and_no_note(tmp_path: Path) -> None:
    found = checked(configured(tmp_path, FITS), models(tmp_path, 2))
    assert (found.problems, found.notes) == ([], [])


def test_each_thing_that_does_not_fit_is_one_line_with_its_version(tmp_path: Path) -> None:
    found = checked(configured(tmp_path, ["plane.seats", "request.hour"]), models(tmp_path, 2, 3))
    assert found.problems == [
        "models.late, version 2: input 'input' takes rows of 3 values, and 2 columns are named",
    ]


def test_the_configured_repository_is_looked_at_too(tmp_path: Path) -> None:
    file = configured(tmp_path, FITS, repository={"models_dir": str(models(tmp_path, 5))})
    assert len(checked(file, None).problems) == 1


def test_without_a_repository_it_says_what_was_not_compared(tmp_path: Path) -> None:
    found = checked(configured(tmp_path, FITS), None)
    assert found.problems == []
    assert found.notes == ["models.late.inputs: not compared with the model; name the repository with --models DIR"]


def test_a_version_that_cannot_be_loaded_is_a_note(tmp_path: Path) -> None:
    root = models(tmp_path, 2, 2)
    (root / "late/2/model.onnx").write_bytes(b"no model")
    found = checked(configured(tmp_path, FITS), root)
    assert found.problems == []
    assert len(found.notes) == 1
    assert found.notes[0].startswith("models.late, version 2: not compared with its inputs, since it cannot be served")


@pytest.mark.parametrize("where", ["nowhere", "models"])
def test_a_repository_without_the_model_is_a_problem(tmp_path: Path, where: str) -> None:
    save(tmp_path / "models", "other", 1, mlp())
    (problem,) = checked(configured(tmp_path, FITS), tmp_path / where).problems
    assert ("there is no such folder" if where == "nowhere" else "no version of it") in problem


def told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str, str]:
    """Exit code, output and errors of the command as its console script runs it."""
    monkeypatch.setattr("sys.argv", ["sluice", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_config_check_ends_with_1_and_one_line_for_one_problem(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    configured(tmp_path, FITS)
    code, out, err = told(capsys, monkeypatch, "config", "check", "--models", str(models(tmp_path, 3)))
    assert (code, out) == (1, "")
    assert err == "sluice: models.late, version 1: input 'input' takes rows of 3 values, and 2 columns are named\n"


def test_models_check_tells_what_does_not_fit_and_ends_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    configured(tmp_path, ["plane.year", "request.hour", "plane.year"])
    root = models(tmp_path, 2, 3)
    code, out, err = told(capsys, monkeypatch, "models", "check", str(root))
    assert (code, err) == (1, "sluice: 1 of 2 does not fit the features that inputs are made of\n")
    (line,) = [line for line in out.splitlines() if "does not fit" in line]
    assert "takes rows of 2 values, and 3 columns are named" in line
    assert "change models.late" in line
    (root / "late/1/model.onnx").write_bytes(b"no model")
    _, _, err = told(capsys, monkeypatch, "models", "check", str(root))
    assert err == "sluice: 1 of 2 cannot be served\n"
    save(root, "late", 3, mlp(features=2))
    _, _, err = told(capsys, monkeypatch, "models", "check", str(root))
    assert err.startswith("sluice: 1 of 3 cannot be served, and 1 of 3 does not fit the features")
    save(root, "late", 1, mlp(features=3))
    _, as_json, _ = told(capsys, monkeypatch, "models", "check", str(root), "--json")
    assert [(one["servable"], len(one["misfits"])) for one in json.loads(as_json)["versions"]] == [
        (True, 0),
        (True, 0),
        (True, 1),
    ]
