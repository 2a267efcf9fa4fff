"""Reading the committed test flights and feature tables, with NumPy and the standard library only."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from deployments.flights.columns import ENTITIES, REQUEST

HERE = Path(__file__).parent
MODEL = "flight-delay"
MODELS = HERE / "models"
# Versions that a rollout judges, apart from those that are served: the highest version of a repository answers.
TRIAL_MODELS = HERE / "trial_models"
CONFIGURATION = HERE / "sluice.yaml"
DATA = HERE / "data"

Rows = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Flight:
    """One real flight: who flew, what was known at its scheduled departure, and how it ended."""

    carrier: str
    number: int
    departure: str  # scheduled, local time of the origin, as 2013-10-01T05:15
    entities: Mapping[str, str]  # tailnum, carrier, origin, dest
    request: Mapping[str, float | None]  # the request-time features; None is missing
    delay_min: int  # at arrival, negative when early
    late: bool  # more than 15 minutes

    @property
    def name(self) -> str:
        """Carrier and flight number, as passengers say it: UA1545."""
        return f"{self.carrier}{self.number}"

    @property
    def route(self) -> str:
        """Origin and destination: EWR→IAH."""
        return f"{self.entities['origin']}→{self.entities['dest']}"

    def instance(self) -> dict[str, str | float | None]:
        """What a caller of `:predict` sends: entity ids and request-time values by name."""
        return {**self.entities, **self.request}


@dataclass(frozen=True, slots=True)
class FlightSample:
    """Flights of October to December 2013 with the finished row of each."""

    features: tuple[str, ...]
    rows: Rows  # [flights, features], finite: missing values are defaults
    late: npt.NDArray[np.bool_]  # [flights]
    flights: tuple[Flight, ...]


def load_test_flights(data: Path = DATA) -> FlightSample:
    """The 2,000 test flights, in a fixed random order, so that the first n are a sample too."""
    flights = tuple(parsed_flight(record) for record in read_records(data / "test_flights.csv"))
    features, rows = load_rows(data / "test_rows.csv")
    late = np.array([flight.late for flight in flights], dtype=np.bool_)
    return FlightSample(features=features, rows=rows, late=late, flights=flights)


def load_table(name: str, data: Path = DATA) -> dict[tuple[str, ...], dict[str, float]]:
    """The feature table of `plane`, `carrier` or `route`: entity key to feature values, NaN where one is missing."""
    key = ENTITIES[name]
    return {
        tuple(record[part] for part in key): {
            feature: number(text) for feature, text in record.items() if feature not in key
        }
        for record in read_records(data / f"{name}.csv")
    }


def load_defaults(data: Path = DATA) -> dict[str, float]:
    """What stands for a missing value, by feature; both versions hold the same values in their graphs."""
    features, rows = load_rows(data / "defaults.csv")
    return dict(zip(features, rows[0].tolist(), strict=True))


def load_rows(path: Path) -> tuple[tuple[str, ...], Rows]:
    """A CSV file of rows: its feature names, and the values float32 [rows, features]."""
    with path.open(encoding="utf-8", newline="") as file:
        header, *lines = csv.reader(file)
    return tuple(header), np.array([[number(text) for text in line] for line in lines], dtype=np.float32)


def read_records(path: Path) -> list[dict[str, str]]:
    """The lines of a CSV file by column name."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def parsed_flight(record: Mapping[str, str]) -> Flight:
    """One line of test_flights.csv."""
    return Flight(
        carrier=record["carrier"],
        number=int(record["flight"]),
        departure=record["departure"],
        entities={part: record[part] for key in ENTITIES.values() for part in key},
        request={name: float(record[name]) if record[name] else None for name in REQUEST},
        delay_min=int(record["delay_min"]),
        late=record["late"] == "1",
    )


def number(text: str) -> float:
    """A cell of the files: empty is missing."""
    return float(text) if text else float("nan")
