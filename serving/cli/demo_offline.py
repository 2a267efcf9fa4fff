"""The demo's flights once more without serving: onnxruntime on their finished rows, in this process."""

from __future__ import annotations

from collections.abc import Sequence

from deployments.flights.sample import MODEL, MODELS, FlightSample
from serving.cli.demo_flights import manifest
from serving.registry.repository import MODEL_FILE
from serving.runtime.onnx_session import OnnxSession


def chances_offline(sample: FlightSample, versions: Sequence[str]) -> list[float]:
    """Of the first flights, one for each of `versions`, the chance of being late that this version gives."""
    count = len(versions)
    found = {version: _chances(sample, version, count) for version in dict.fromkeys(versions)}
    return [found[version][place] for place, version in enumerate(versions)]


def _chances(sample: FlightSample, version: str, count: int) -> list[float]:
    facts = manifest()
    session = OnnxSession.open(MODELS / MODEL / version / MODEL_FILE)
    names = [spec.name for spec in session.signature.outputs]
    scores = session.run([sample.rows[:count]])[names.index(facts.score or "")]
    return [float(row[facts.score_index or 0]) for row in scores]
