"""The example's sluice.yaml: feature views and inputs from columns.py, defaults from what the models hold."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from deployments.flights.columns import ENTITIES, FEATURES, TABLES, WEATHER
from deployments.flights.sample import load_defaults

_HEAD = """\
# How the flights example is served by entity: callers send ids and what they know of the flight, and the tables in
# data/ are looked up (load them with `sluice features load`, or let `sluice demo` do it).
# Written by `python -m deployments.flights.configuration`.
"""


def sluice_yaml(defaults: Mapping[str, float]) -> str:
    """The whole file; `defaults` by column, as defaults.csv has them. Only weather may be unknown to a caller."""
    views = "".join(_view(name, defaults) for name in TABLES)
    columns = "".join(f"          - {column}\n" for column in FEATURES)
    request = "".join(f"      {name}: {_number(defaults[f'request.{name}'])}\n" for name in WEATHER)
    return (
        f"{_HEAD}feature_views:\n{views}models:\n  flight-delay:\n    inputs:\n      - name: input\n        features:\n"
        f"{columns}    request_defaults:\n{request}"
    )


def _view(name: str, defaults: Mapping[str, float]) -> str:
    features = "".join(
        f"      {feature}: {{dtype: float32, default: {_number(defaults[f'{name}.{feature}'])}}}\n"
        for feature in TABLES[name]
    )
    return f"  {name}:\n    entity: [{', '.join(ENTITIES[name])}]\n    features:\n{features}"


def _number(value: float) -> str:
    """The shortest text that reads back as the same float32."""
    return np.format_float_positional(np.float32(value), unique=True, trim="0")


if __name__ == "__main__":
    print(sluice_yaml(load_defaults()), end="")
