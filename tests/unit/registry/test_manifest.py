"""What a model.yaml may say, and how wrong ones are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.errors import ModelUnservable
from serving.registry.manifest import Manifest, read_manifest

FULL = """
score: probabilities
score_index: 1
positive_class: late
threshold: 0.5
inputs:
  - {name: input, features: [plane.year, request.hour]}
samples:
  - input: [1.5, 2]
  - input: [3, 4.5]
onnxruntime: {intra_op_threads: 2, spinning: true, graph_optimisation: basic, custom_op_libraries: [ops.so]}
batching: forced
max_rows: 128
deadline_ms: 50
latency_slo_ms: 20
"""


def read(tmp_path: Path, text: str) -> Manifest:
    path = tmp_path / "model.yaml"
    path.write_text(text)
    return read_manifest(path)


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises(ModelUnservable) as raised:
        read(tmp_path, text)
    assert raised.value.message.startswith(f"{tmp_path / 'model.yaml'}: ")
    return raised.value.message


def test_every_key_is_read(tmp_path: Path) -> None:
    manifest = read(tmp_path, FULL)
    assert set(manifest.model_fields_set) == set(Manifest.model_fields)
    assert manifest.inputs[0].features == ["plane.year", "request.hour"]
    assert manifest.samples[1] == {"input": [3, 4.5]}
    assert manifest.onnxruntime.custom_op_libraries == ["ops.so"]


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "{}"])
def test_an_empty_manifest_is_all_defaults(text: str, tmp_path: Path) -> None:
    assert read(tmp_path, text) == Manifest()


def test_a_manifest_that_is_not_there_is_all_defaults(tmp_path: Path) -> None:
    assert read_manifest(tmp_path / "model.yaml") == Manifest()


@pytest.mark.parametrize(("written", "meant"), [("false", "never"), ("true", "proven"), ("never", "never")])
def test_batching_is_a_word_or_a_truth_value(written: str, meant: str, tmp_path: Path) -> None:
    assert read(tmp_path, f"batching: {written}").batching == meant


CASES = [
    ("treshold: 0.5", "line 1: unknown key 'treshold'; did you mean 'threshold'? permitted: score, score_index"),
    ("score: y\n\nwhatever: 1", "line 3: unknown key 'whatever'; permitted: score"),
    (
        "onnxruntime:\n  intra_threads: 1",
        "line 2: unknown key 'onnxruntime.intra_threads'; did you mean 'intra_op_threads'?",
    ),
    ("inputs:\n  - {name: x, feature: [a]}", "unknown key 'inputs.0.feature'; did you mean 'features'?"),
    ("inputs:\n  - {name: x}", "inputs.0.features is missing"),
    ("threshold: high", "line 1: threshold is 'high'; permitted: number"),
    ("threshold: .nan", "threshold is nan; permitted: finite number"),
    ("score_index: -1", "score_index is -1; permitted: greater than or equal to 0"),
    ("max_rows: 0", "max_rows is 0; permitted: greater than or equal to 1"),
    ("max_rows: '5'", "max_rows is '5'; permitted: integer"),
    ("max_rows: true", "max_rows is True; permitted: integer"),
    ("batching: maybe", "line 1: batching is 'maybe'; permitted: 'proven', 'never' or 'forced'"),
    ("onnxruntime: {graph_optimisation: most}", "permitted: 'off', 'basic', 'extended' or 'all'"),
    ("samples: [{x: 2013-01-01}]", "line 1: samples.0.x is datetime.date(2013, 1, 1); permitted: numbers, text"),
    ("samples: [{x: {deep: 1}}]", "samples.0.x"),
    ("a: 1\nscore: y\nscore: z", "line 3: 'score' stands twice"),
    ("score: [", "line 1, column 9: no valid YAML"),
    ("score: y\n  x: 1", "line 2"),
    ("- score", "line 1: the file has to be a mapping"),
    ("just text", "line 1: the file has to be a mapping"),
    ("1: 2", "line 1: the file has to be a mapping"),
    ("samples: [{x: &a [1]}, {x: *a}]", "used again by an alias"),
    ("x: " + "[" * 100 + "]" * 100, "nested more than 20 deep"),
    ("score: !!python/object/apply:os.system [ls]", "line 1"),
    ("score: 2013-99-99", "month must be in 1..12"),
]


@pytest.mark.parametrize(("text", "expected"), CASES, ids=[text[:30] for text, _ in CASES])
def test_a_wrong_manifest_is_refused_by_line_key_and_what_is_permitted(
    text: str, expected: str, tmp_path: Path
) -> None:
    assert expected in refusal(tmp_path, text)


def test_all_wrong_keys_are_told_at_once(tmp_path: Path) -> None:
    message = refusal(tmp_path, "scor: y\nmax_rows: 0\n")
    assert "unknown key 'scor'" in message
    assert "max_rows is 0" in message


def test_a_manifest_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.yaml"
    path.write_bytes(b"score: \xff\xfe")
    with pytest.raises(ModelUnservable, match="not UTF-8"):
        read_manifest(path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(ModelUnservable, match="cannot be read"):
        read_manifest(tmp_path / "folder")
