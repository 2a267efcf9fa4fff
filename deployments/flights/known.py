"""What the raw flights become: who flew where, what was known at scheduled departure, and how it ended."""

from __future__ import annotations

import pandas as pd

from deployments.flights.columns import WEATHER
from deployments.flights.source import Source

LATE_AFTER_MIN = 15
LAST_TRAINING_MONTH = 9

# The observation labelled 14:00 is taken as late as 14:51 (nycflights13, data-raw/weather.R), after most departures of
# that hour. So it counts as known from the next full hour on (which costs no AUC on the test months).
OBSERVATION_DELAY = pd.Timedelta(hours=1)
OLDEST_OBSERVATION = pd.Timedelta(hours=3)


def completed_flights(source: Source) -> pd.DataFrame:
    """One row per flight that arrived where it was to go, in order of scheduled departure.

    Cancelled and diverted flights have no arrival delay, so no outcome: they are left out. That knowledge comes after
    scheduled departure; a service that had to score them too would find them harder than these figures say.
    """
    raw = source.flights
    flights = raw[raw["arr_delay"].notna()].copy()
    flights["departure"] = pd.to_datetime(flights["time_hour"], utc=True)
    day = pd.to_datetime(flights[["year", "month", "day"]])
    flights["date"] = day.dt.strftime("%Y-%m-%d")
    flights["weekday"] = day.dt.dayofweek
    flights["late"] = (flights["arr_delay"] > LATE_AFTER_MIN).astype("int64")
    # The full key makes the order, and so every sum and split after it, independent of the order in the file.
    flights = flights.sort_values(["departure", "minute", "carrier", "flight", "origin", "dest"], kind="stable")
    return with_weather(flights, source.weather).reset_index(drop=True)


def with_weather(flights: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    """Add the last observation at the origin that was known by the scheduled hour, at most three hours back."""
    known = weather[["origin", *WEATHER]].copy()
    observed = pd.to_datetime(weather["time_hour"], utc=True)
    known["departure"] = (observed + OBSERVATION_DELAY).astype(flights["departure"].dtype)
    return pd.merge_asof(
        flights,
        known.sort_values("departure", kind="stable"),
        on="departure",
        by="origin",
        tolerance=OLDEST_OBSERVATION - OBSERVATION_DELAY,
    )


def training_flights(flights: pd.DataFrame) -> pd.DataFrame:
    """January to September."""
    return flights[flights["month"] <= LAST_TRAINING_MONTH].reset_index(drop=True)


def held_out_flights(flights: pd.DataFrame) -> pd.DataFrame:
    """October to December: later than everything the models and the tables have seen."""
    return flights[flights["month"] > LAST_TRAINING_MONTH].reset_index(drop=True)
