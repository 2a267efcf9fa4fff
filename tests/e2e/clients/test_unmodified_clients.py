"""Clients that people have already, unmodified from PyPI, find in a running session what they expect of a server."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from tests.e2e.clients.environments import pinned
from tests.e2e.clients.running_driver import ENVIRONMENTS, Ended, checks_of, run_driver
from tests.e2e.sluice_up import SluiceUp

Run = Callable[[str], Ended]


@pytest.fixture(scope="module")
def run(in_process: SluiceUp) -> Run:
    """Runs a driver once."""
    return cache(lambda driver: run_driver(driver, in_process))


@pytest.mark.parametrize(
    ("driver", "check"), [(driver, check) for driver in ENVIRONMENTS for check in checks_of(driver)]
)
def test_a_client_finds_what_it_expects_of_a_server(run: Run, driver: str, check: str) -> None:
    raised = run(driver).checks[check]
    assert not raised, raised


@pytest.mark.parametrize("driver", ENVIRONMENTS)
def test_the_client_is_the_one_of_the_list(run: Run, driver: str) -> None:
    ended = run(driver)
    assert set(ended.checks) == set(checks_of(driver))
    package = "kserve" if driver.startswith("kserve") else "tritonclient"
    assert ended.version == pinned(ENVIRONMENTS[driver], package)
