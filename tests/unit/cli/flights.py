"""The first test flights of the example."""

from __future__ import annotations

from deployments.flights.sample import Flight, load_test_flights


def some_flights(count: int) -> tuple[Flight, ...]:
    """In their fixed order."""
    return load_test_flights().flights[:count]
