"""A configuration and a repository make the plan of a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.cli.failure import CommandFailed, ExitCode
from serving.cli.session_models import Planned
from serving.cli.session_models import planned as planned_with
from serving.config.settings import Settings
from serving.errors import ConfigInvalid


def repository(root: Path, *versions: str, manifest: str = "") -> Path:
    for version in versions:
        folder = root / version
        folder.mkdir(parents=True)
        (folder / "model.onnx").write_bytes(b"not looked at")
        if manifest:
            (folder.parent / "model.yaml").write_text(manifest)
    return root


def planned(given: Settings) -> Planned:
    return planned_with(given, lambda _, listing: listing)


def settings(root: Path, **sections: object) -> Settings:
    return Settings.model_validate({"repository": {"models_dir": str(root)}, **sections})


def test_every_version_is_planned_and_the_highest_answers_by_default(tmp_path: Path) -> None:
    plan = planned(settings(repository(tmp_path, "a/1", "a/10", "a/9", "b/3"))).plan
    assert [(one.model, one.version, one.default) for one in plan.models] == [
        ("a", 1, False),
        ("a", 9, False),
        ("a", 10, True),
        ("b", 3, True),
    ]
    assert Path(plan.models[0].path) == tmp_path / "a/1/model.onnx"


def test_the_configuration_names_the_default(tmp_path: Path) -> None:
    root = repository(tmp_path, "a/1", "a/2")
    plan = planned(settings(root, models={"a": {"routes": {"stable": 1}}})).plan
    assert [one.version for one in plan.models if one.default] == [1]


def test_the_plan_carries_the_settings_to_the_workers(tmp_path: Path) -> None:
    given = settings(
        repository(tmp_path, "a/1"), http={"workers": 3, "drain_grace_s": 2}, engine={"kind": "in-process"}
    )
    plan = planned(given).plan
    assert (plan.workers, plan.grace_s, plan.engine) == (3, 2, "in-process")
    assert Settings.model_validate(plan.config).http == given.http


def test_the_owners_facts_hold_where_the_configuration_is_silent(tmp_path: Path) -> None:
    root = repository(tmp_path, "a/1", "b/1", manifest="deadline_ms: 70\nmax_rows: 8\nlatency_slo_ms: 20\n")
    found = planned(settings(root, models={"a": {"deadline_ms": 90, "batching": {"max_rows": 16}}})).settings
    assert (found.model("a").deadline_ms, found.model("a").batching.max_rows) == (90, 16)
    assert (found.model("b").deadline_ms, found.model("b").batching.max_rows) == (70, 8)
    assert found.model("b").latency_slo_ms == 20


def test_a_broken_version_is_left_out_and_said(tmp_path: Path) -> None:
    root = repository(tmp_path, "a/1")
    (root / "a/2").mkdir()
    session = planned(settings(root))
    assert [one.version for one in session.plan.models] == [1]
    assert [(problem.model, problem.version) for problem in session.problems] == [("a", 2)]


def test_without_a_repository_the_flag_is_named() -> None:
    with pytest.raises(CommandFailed, match="--models DIR") as refused:
        planned(Settings())
    assert refused.value.code == ExitCode.WRONG_USAGE


def test_an_empty_repository_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=r"<model>/1/model\.onnx") as refused:
        planned(settings(tmp_path))
    assert refused.value.code == ExitCode.WRONG_USAGE


def test_a_configured_model_that_is_not_there_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="has no version"):
        planned(settings(repository(tmp_path, "a/1"), models={"b": {}}))


def test_headers_for_traces_that_cannot_be_read_are_said_before_anything_starts(tmp_path: Path) -> None:
    given = settings(repository(tmp_path, "a/1"), tracing={"headers_file": str(tmp_path / "none")})
    with pytest.raises(ConfigInvalid, match=r"tracing\.headers_file: .*none cannot be read"):
        planned(given)
