"""Writing the committed files: feature tables, test flights, models and the model's own facts."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pandas as pd

from deployments.flights.columns import ENTITIES, FEATURES, REQUEST
from deployments.flights.sample import MODEL
from deployments.flights.tables import Tables

MODEL_YAML = """\
# The chance that a flight arrives more than 15 minutes late, from what is known at scheduled departure.
# Version 1 is a logistic regression, version 2 gradient boosted trees. Written by build.py.
score: probabilities      # the output whose column 1 is that chance
score_index: 1
positive_class: late
threshold: 0.5
inputs:
  - name: input
    features:
"""


def write_model(models: Path, version: int, model: onnx.ModelProto) -> Path:
    """Write one version in the repository's layout and give its path."""
    path = models / MODEL / str(version) / "model.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString(deterministic=True))
    return path


def write_model_yaml(models: Path, samples: np.ndarray) -> None:
    """Write the facts only the model's owner knows; `samples` are finished rows for the warm-up."""
    features = "".join(f"      - {name}\n" for name in FEATURES)
    rows = "".join(f"  - input: [{', '.join(cells(row))}]\n" for row in samples)
    text = f"{MODEL_YAML}{features}samples:\n{rows}"
    (models / MODEL / "model.yaml").write_text(text, encoding="utf-8")


def write_tables(data: Path, tables: Tables) -> None:
    """One CSV per entity, its key first, then its features; a missing value is an empty cell."""
    for name, table in tables.items():
        keys = [key if isinstance(key, tuple) else (key,) for key in table.index]
        values = table.to_numpy(dtype=np.float32, na_value=np.nan)
        lines = ([*key, *cells(row)] for key, row in zip(keys, values, strict=True))
        write_csv(data / f"{name}.csv", [*ENTITIES[name], *table.columns], lines)


def write_defaults(data: Path, defaults: np.ndarray) -> None:
    """One line: what stands for a missing value of each feature."""
    write_csv(data / "defaults.csv", FEATURES, [cells(defaults)])


def write_test_flights(data: Path, flights: pd.DataFrame, rows: np.ndarray) -> None:
    """The same flights twice: as ids, request-time values and outcome, and as finished rows float32."""
    ids = ["departure", "flight", *dict.fromkeys(part for key in ENTITIES.values() for part in key)]
    clock = flights["hour"].map("{:02d}".format) + ":" + flights["minute"].map("{:02d}".format)
    named = flights.assign(departure=flights["date"] + "T" + clock)[ids].astype(str).to_numpy()
    request = flights[list(REQUEST)].to_numpy(dtype=np.float32)
    outcome = flights[["arr_delay", "late"]].astype("int64").astype(str).to_numpy()
    lines = ([*who, *cells(known), *end] for who, known, end in zip(named, request, outcome, strict=True))
    write_csv(data / "test_flights.csv", [*ids, *REQUEST, "delay_min", "late"], lines)
    write_csv(data / "test_rows.csv", FEATURES, (cells(row) for row in rows))


def cells(values: np.ndarray) -> list[str]:
    """Float32 values as the shortest text that reads back as exactly the same float32."""
    return ["" if np.isnan(value) else np.format_float_positional(value, unique=True, trim="-") for value in values]


def write_csv(path: Path, header: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
    """Write a CSV with Unix line ends, so that the file is the same wherever it is built."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(lines)
