"""MLServer's batch client, `mlserver infer`, sends a file of requests and gets each answer in its place."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.clients.environments import environment
from tests.e2e.sluice_up import SluiceUp
from tests.e2e.sluice_up import environment as variables

REQUESTS = 40


@pytest.mark.parametrize(("batch", "binary"), [(1, False), (8, False), (8, True)])
def test_a_file_of_requests_is_answered_line_by_line(
    in_process: SluiceUp, tmp_path: Path, batch: int, binary: bool
) -> None:
    asked = [_request(number) for number in range(REQUESTS)]
    answers = _infer(in_process, tmp_path, asked, "--batch-size", str(batch), *(["--binary-data"] if binary else []))
    assert sorted(answers) == list(range(REQUESTS))
    for number, answer in answers.items():
        assert answer["id"] == str(number)
        assert answer["model_name"] == "doubler"
        (output,) = answer["outputs"]
        assert output["shape"] == [1, 4]
        assert output["data"] == [2 * number, 2, 4, 6]


def test_a_request_that_is_refused_is_told_in_its_place(in_process: SluiceUp, tmp_path: Path) -> None:
    wrong = _request(1)
    wrong["inputs"][0]["name"] = "z"
    answers = _infer(in_process, tmp_path, [_request(0), wrong], "--batch-size", "1", "--retries", "1")
    assert answers[0]["outputs"][0]["data"] == [0, 2, 4, 6]
    assert "'z'" in answers[1]["error"]["msg"]


def _request(number: int) -> dict[str, Any]:
    return {
        "id": str(number),
        "inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [number, 1, 2, 3]}],
    }


def _infer(session: SluiceUp, folder: Path, asked: list[dict[str, Any]], *options: str) -> dict[int, dict[str, Any]]:
    """The answers by the line of their request."""
    lines, answers = folder / "requests.jsonl", folder / "answers.jsonl"
    lines.write_text("".join(json.dumps(one) + "\n" for one in asked))
    place = ["--url", f"127.0.0.1:{session.port}", "--model-name", "doubler"]
    files = ["--input-data-path", str(lines), "--output-data-path", str(answers)]
    said = subprocess.run(
        [environment("mlserver") / "bin" / "mlserver", "infer", *place, *files, *options],
        env=variables(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert said.returncode == 0, said.stdout + said.stderr
    found = [json.loads(line) for line in answers.read_text().splitlines()]
    return {one["parameters"]["batch_index"]: one for one in found}
