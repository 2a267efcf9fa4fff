"""Real flights, asked one after another over HTTP, and how well and how fast they were predicted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.table import Table
from rich.text import Text

from deployments.flights.sample import MODEL, MODELS, Flight, FlightSample
from serving.cli.gateway_client import GatewayClient, Reply
from serving.cli.output import table
from serving.registry.manifest import Manifest, read_manifest
from serving.registry.repository import MANIFEST_FILE

_SHOWN = 12
# What every column needs beside the others; a terminal has 80 by habit.
_WHOLE_WIDTH = 105
_DETAILS = ("route", "departure")


@dataclass(frozen=True, slots=True)
class Predicted:
    """One flight with the model's chance that it arrives late; `degraded` tells which features were defaults."""

    flight: Flight
    chance: float
    version: str
    latency_s: float
    degraded: str = ""


def manifest(models: Path = MODELS) -> Manifest:
    """What the model's owner says: which output is the score, and from where on it means late."""
    return read_manifest(models / MODEL / MANIFEST_FILE)


def ask_for(client: GatewayClient, sample: FlightSample, index: int) -> Reply:
    """One flight by its entity ids and what is known of it at departure."""
    return client.post(f"/v1/models/{MODEL}:predict", {"instances": [sample.flights[index].instance()]})


def predictions(client: GatewayClient, sample: FlightSample, count: int) -> Iterator[Predicted]:
    """The first `count` flights, each answered before the next is asked."""
    facts = manifest()
    for index in range(count):
        reply = ask_for(client, sample, index)
        chance = _score(reply.body["predictions"][0], facts)
        version, degraded = reply.headers.get("x-sluice-version", "?"), reply.headers.get("x-sluice-degraded", "")
        yield Predicted(sample.flights[index], chance, version, reply.took_s, degraded)


def _score(prediction: Mapping[str, Any], facts: Manifest) -> float:
    return float(prediction[facts.score or ""][facts.score_index or 0])


def flights_table(predicted: Sequence[Predicted], threshold: float, width: int) -> Table:
    """A sample of the flights, evenly spread; a terminal of fewer columns than the table does without the details."""
    step = max(1, len(predicted) // _SHOWN)
    rows = [_row(one, threshold) for one in predicted[::step][:_SHOWN]]
    left_out = _DETAILS if width < _WHOLE_WIDTH else ()
    columns = [name for name in rows[0] if name not in left_out]
    return table(
        columns, [[row[name] for name in columns] for row in rows], right=["chance late", "version", "latency"]
    )


def _row(one: Predicted, threshold: float) -> dict[str, object]:
    says_late, was_late = one.chance >= threshold, one.flight.late
    outcome = Text(f"{'late' if was_late else 'on time'} ({one.flight.delay_min:+d} min)")
    outcome.stylize("green" if says_late == was_late else "yellow")
    return {
        "flight": one.flight.name,
        "route": one.flight.route,
        "departure": one.flight.departure.replace("T", " "),
        "chance late": f"{one.chance:.0%}",
        "prediction": "late" if says_late else "on time",
        "outcome": outcome,
        "version": one.version,
        "latency": f"{one.latency_s * 1000:.2f} ms",
    }


def totals(predicted: Sequence[Predicted], offline: Sequence[float], threshold: float) -> list[tuple[str, str]]:
    """Name and value of each figure over all flights; `offline` has the chances that their finished rows give."""
    late = [one.flight.late for one in predicted]
    right = sum((one.chance >= threshold) == one.flight.late for one in predicted)
    by_ids = auc([one.chance for one in predicted], late)
    latencies = sorted(one.latency_s * 1000 for one in predicted)
    return [
        ("flights", f"{len(predicted)} real ones of October to December 2013, {sum(late)} of them late"),
        ("AUC", f"{by_ids:.4f} by ids, {auc(offline, late):.4f} of the finished rows offline (0.5 is guessing)"),
        ("right", f"{right} of {len(predicted)} at a threshold of {threshold:g}"),
        (
            "latency",
            f"median {median(latencies):.2f} ms, p99 {latencies[int(len(latencies) * 0.99)]:.2f} ms, one caller",
        ),
        ("features", f"{sum(not one.degraded for one in predicted)} flights had every one that was looked up"),
        ("versions", ", ".join(sorted({one.version for one in predicted}))),
    ]


def auc(scores: Sequence[float], positive: Iterable[bool]) -> float:
    """Area under the ROC curve: how often a positive one scores above a negative one, ties counting half.

    Nan where one of the two is missing. Source: the Mann-Whitney U statistic.
    """
    ordered = sorted(zip(scores, positive, strict=True))
    wins = 0.0
    below = positives = 0
    start = 0
    while start < len(ordered):
        stop = start
        while stop < len(ordered) and ordered[stop][0] == ordered[start][0]:
            stop += 1
        tied = sum(is_positive for _, is_positive in ordered[start:stop])
        ties_below = stop - start - tied
        wins += tied * (below + ties_below / 2)
        below += ties_below
        positives += tied
        start = stop
    return wins / (positives * below) if positives and below else float("nan")
