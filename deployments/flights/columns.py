"""The names of what the flight models see, in the order of the models' columns, and what identifies an entity."""

from __future__ import annotations

from collections.abc import Mapping

# What of a flight finds its row in each feature table.
ENTITIES: Mapping[str, tuple[str, ...]] = {
    "plane": ("tailnum",),
    "carrier": ("carrier",),
    "route": ("origin", "dest"),
}

TABLES: Mapping[str, tuple[str, ...]] = {
    "plane": ("year", "seats", "mean_delay", "on_time_rate"),
    "carrier": ("mean_delay", "on_time_rate"),
    "route": ("mean_delay", "on_time_rate", "flights"),
}

WEATHER = ("temp", "humid", "wind_speed", "wind_gust", "precip", "visib", "pressure")

# What the caller sends with the entity ids, all of it known at scheduled departure. The month is left out on purpose:
# the models are trained on months that the test flights do not have.
REQUEST = ("hour", "minute", "weekday", "distance", *WEATHER)

FEATURES = (
    *(f"{table}.{name}" for table, names in TABLES.items() for name in names),
    *(f"request.{name}" for name in REQUEST),
)
