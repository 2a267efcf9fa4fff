"""Marks every test with the folder it lives in (`-m unit`, `-m "not e2e"`); examples of properties know no clock.

Also sets how a test that hangs is ended, and what this process leaves to others that run beside it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.lanes.claims import claims_of
from tests.lanes.time_limit import TimeLimit

# A busy machine, and a first run without a cache of examples, are slow; neither is a defect. Examples are the same in
# every run, so that a change is judged by what it changed; long runs look for new ones.
settings.register_profile(
    "sluice",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=not os.environ.get("SLUICE_LONG"),
)
settings.load_profile("sluice")

TESTS = Path(__file__).parent
KINDS = frozenset({"unit", "contract", "integration", "e2e", "architecture"})


def pytest_configure(config: pytest.Config) -> None:
    """Nothing is captured yet, so that this error output is the one that is read."""
    config.pluginmanager.register(TimeLimit(os.dup(2)))
    if claims := claims_of(os.environ):
        config.pluginmanager.register(claims)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test's kind is its folder's name."""
    for item in items:
        parts = item.path.relative_to(TESTS).parts
        if parts[0] in KINDS:
            item.add_marker(parts[0])
