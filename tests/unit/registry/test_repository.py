"""What is found in a folder of models, and what is told about the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.errors import ConfigInvalid
from serving.inference import VersionKey
from serving.registry.repository import Listing, Repository


def listing(root: Path, *files: str) -> Listing:
    """Empty files at these paths; a path that ends in a slash is a folder."""
    for name in files:
        path = root / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.touch()
    return Repository(root).listing()


def texts(found: Listing, root: Path) -> list[str]:
    return [problem.error.message.replace(str(root), "DIR") for problem in found.problems]


def test_versions_are_listed_in_order_of_number(tmp_path: Path) -> None:
    found = listing(tmp_path, "b/10/model.onnx", "b/9/model.onnx", "a/1/model.onnx")
    assert [version.key for version in found.versions] == [VersionKey("a", 1), VersionKey("b", 9), VersionKey("b", 10)]
    assert found.versions[0].path == tmp_path / "a/1/model.onnx"
    assert found.problems == ()


def test_the_highest_version_answers_by_default(tmp_path: Path) -> None:
    found = listing(tmp_path, "b/10/model.onnx", "b/9/model.onnx")
    assert found.default("b") == 10
    assert found.default("other") is None


def test_what_is_no_model_is_passed_over(tmp_path: Path) -> None:
    found = listing(
        tmp_path,
        "README.md",
        ".git/1/model.onnx",
        "notes/today.txt",
        "empty/",
        "m/1/model.onnx",
        "m/1/weights.bin",
        "m/.cache/1/model.onnx",
        "m/training/data.csv",
        "m/README.md",
    )
    assert [version.key for version in found.versions] == [VersionKey("m", 1)]
    assert found.problems == ()


@pytest.mark.parametrize("name", ["v1", "01", "0", "-1", "1.0", "1e3", "latest", "٣", "9007199254740992", "1 "])
def test_a_version_that_is_no_whole_number_is_a_problem_and_hides_no_other(name: str, tmp_path: Path) -> None:
    found = listing(tmp_path, f"m/{name}/model.onnx", "m/2/model.onnx")
    assert [version.key.version for version in found.versions] == [2]
    (text,) = texts(found, tmp_path)
    assert text.startswith(f"DIR/m/{name}: {name!r} is no version; rename the folder to a whole number")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["m/3/"], "DIR/m/3: there is no file model.onnx; put model.onnx there"),
        (["m/3/net.onnx"], "DIR/m/3: there is no file model.onnx; rename net.onnx to model.onnx"),
        (["m/3/model.onnx/x"], "DIR/m/3: there is no file model.onnx"),
        (["m/model.onnx"], "DIR/m/model.onnx: it is in no version's folder; move it to 1/model.onnx"),
        (["m/model.yaml"], "DIR/m: no version in it; put the model at 1/model.onnx"),
        (["m/1/model.onnx", "m/model.yml"], "DIR/m/model.yml: it would not be read; rename it to model.yaml"),
        (["m" * 129 + "/1/model.onnx"], "the name has 129 characters; rename the folder to at most 128"),
        (["a\nb/1/model.onnx"], "DIR/a\\nb: the name has characters that cannot be seen"),
        (["a\u202eb/1/model.onnx"], "DIR/a\\u202eb: the name has characters that cannot be seen"),
        ([" m/1/model.onnx"], "the name has characters that cannot be seen"),
    ],
)
def test_each_problem_says_which_path_what_and_what_to_do(files: list[str], expected: str, tmp_path: Path) -> None:
    found = listing(tmp_path, "good/1/model.onnx", *files)
    assert [version.key for version in found.versions] == [VersionKey("good", 1)]
    (text,) = texts(found, tmp_path)
    assert expected in text
    text.encode()


def test_a_wrong_manifest_is_a_problem_of_its_model_alone(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m/model.yaml").write_text("scor: y")
    found = listing(tmp_path, "m/1/model.onnx", "good/1/model.onnx")
    assert [version.key for version in found.versions] == [VersionKey("good", 1)]
    (problem,) = found.problems
    assert (problem.model, problem.version) == ("m", None)
    assert "unknown key 'scor'" in problem.error.message


def test_a_manifest_is_given_to_every_version(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m/model.yaml").write_text("max_rows: 7")
    found = listing(tmp_path, "m/1/model.onnx", "m/2/model.onnx")
    assert [version.manifest.max_rows for version in found.versions] == [7, 7]


@pytest.mark.parametrize("name", ["missing", "file"])
def test_a_repository_that_is_no_folder_is_a_clear_error(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigInvalid, match=f"model repository .*{name}: "):
        Repository(tmp_path / name).listing()


def test_an_empty_repository_has_nothing_and_no_problem(tmp_path: Path) -> None:
    assert listing(tmp_path) == Listing((), ())
