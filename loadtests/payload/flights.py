"""The flights example as payload: 2,000 real flights by their ids, or as finished rows, and every version's answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deployments.flights.sample import MODELS, FlightSample, load_test_flights
from loadtests.payload.entry import Entry

MODEL = "flight-delay"
PATH = f"/v1/models/{MODEL}:predict"
ROWS_PATH = f"/v2/models/{MODEL}/infer"


def by_ids(*, answers: bool) -> list[Entry]:
    """What a caller of `:predict` sends, entity ids and what is known at departure."""
    sample = load_test_flights()
    known = _known(sample) if answers else [{}] * len(sample.flights)
    return [
        Entry(PATH, {"instances": [flight.instance()]}, {version: _predictions(one) for version, one in wanted.items()})
        for flight, wanted in zip(sample.flights, known, strict=True)
    ]


def as_rows(*, answers: bool) -> list[Entry]:
    """Finished rows as tensors, of features that nobody has to look up."""
    sample = load_test_flights()
    known = _known(sample) if answers else [{}] * len(sample.flights)
    return [
        Entry(ROWS_PATH, _tensor(row.tolist()), {version: _outputs(one) for version, one in wanted.items()})
        for row, wanted in zip(sample.rows, known, strict=True)
    ]


def _tensor(row: list[float]) -> dict[str, Any]:
    return {"inputs": [{"name": "input", "shape": [1, len(row)], "datatype": "FP32", "data": row}]}


def _predictions(probabilities: list[float]) -> dict[str, Any]:
    return {"predictions": [{"probabilities": probabilities}]}


def _outputs(probabilities: list[float]) -> dict[str, Any]:
    return {"outputs": [{"name": "label"}, {"name": "probabilities", "data": probabilities}]}


def _known(sample: FlightSample) -> list[dict[str, list[float]]]:
    """Of each flight, the probabilities of every version, by ONNX Runtime itself."""
    by_version = {version.name: list(_asked(version / "model.onnx", sample)) for version in _versions(MODELS / MODEL)}
    return [{version: rows[number] for version, rows in by_version.items()} for number in range(len(sample.flights))]


def _versions(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name.isdigit() and (path / "model.onnx").is_file())


def _asked(model: Path, sample: FlightSample) -> Iterator[list[float]]:
    # Here, since only who checks answers needs it.
    import onnxruntime as ort  # noqa: PLC0415

    session = ort.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    for row in sample.rows:
        (found,) = session.run(["probabilities"], {session.get_inputs()[0].name: row[None]})
        yield [float(value) for value in found[0]]
