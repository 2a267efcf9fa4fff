"""Questions to the model `doubler`, each with numbers of its own, so that an answer to another one is seen at sight."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path

from serving.testing.load_client import Question
from serving.testing.models import divides, doubler, save
from tests.e2e.http_client import PATIENT

PATH = "/v2/models/doubler/infer"
# As lines of a head, which is how the load client takes them.
PATIENT_LINES = "".join(f"{name}: {value}\r\n" for name, value in PATIENT.items())
# By hand, and before a release: the whole length.
LONG = os.environ.get("SLUICE_LONG") == "1"


def save_models(root: Path) -> Path:
    """A repository of `doubler` and `divides`."""
    save(root, "doubler", 1, doubler())
    save(root, "divides", 1, divides())
    return root


def doubling(number: int, headers: str = "") -> Question:
    """One row of four numbers below 2**24, which float32 holds exactly."""
    row = [number % 4_000_000, 1, 2, 3]
    document = {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": row}]}
    return Question(PATH, json.dumps(document).encode(), partial(_doubled, row), headers)


def patiently(number: int) -> Question:
    """One that is neither refused nor given up where a worker or a replica waits for a core."""
    return doubling(number, PATIENT_LINES)


def dividing(x: int, by: int) -> dict[str, object]:
    """The body of a request to `divides`."""
    names = {"x": x, "by": by}
    return {
        "inputs": [
            {"name": name, "shape": [1, 1], "datatype": "INT64", "data": [value]} for name, value in names.items()
        ]
    }


def _doubled(row: list[int], body: bytes) -> bool:
    data: list[float] = json.loads(body)["outputs"][0]["data"]
    return data == [2 * one for one in row]
