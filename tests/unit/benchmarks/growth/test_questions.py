"""Requests of many rows, and requests spread over many models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson

from benchmarks.encodings import Reply
from benchmarks.growth.questions import copies, many_rows, over_models
from benchmarks.workload import mlp


def test_a_request_of_many_rows_has_each_once_and_its_answers_in_their_order(tmp_path: Path) -> None:
    asked, single = many_rows(tmp_path, 4, requests=3), mlp(tmp_path, 12)
    tensor = orjson.loads(asked.body(1))["inputs"][0]
    assert tensor["shape"] == [4, 32]
    assert np.array_equal(np.array(tensor["data"], np.float32).reshape(4, 32), single.rows[4:8])
    assert np.array_equal(asked.wanted(1)[0].reshape(4, 2), single.expected[0][4:8].astype(np.float64))
    answer = Reply(200, {}, orjson.dumps({"outputs": [{"data": single.expected[0][4:8].tolist()}]}))
    assert np.allclose(asked.given(answer)[0], asked.wanted(1)[0])


def test_every_model_is_asked_once_in_turn(tmp_path: Path) -> None:
    names = copies(tmp_path, 3)
    over_models(mlp(tmp_path), names, tmp_path / "asked.paths")
    lines = [line.split(b"\t") for line in (tmp_path / "asked.paths").read_bytes().splitlines()]
    assert [path.decode() for path, _ in lines] == [f"/v2/models/{name}/infer" for name in names]
    assert len({body for _, body in lines}) == 1
    assert all((tmp_path / name / "1" / "model.onnx").is_file() for name in names)


def test_one_model_alone_costs_the_client_as_much_as_many(tmp_path: Path) -> None:
    over_models(mlp(tmp_path), ["mlp"], tmp_path / "one.paths")
    assert len((tmp_path / "one.paths").read_bytes().splitlines()) == 2
