"""A connection without sockets, ready to be talked to."""

from __future__ import annotations

import pytest

from tests.unit.edge.http.wire import Wire


@pytest.fixture
def wire() -> Wire:
    """A connection with the default limits."""
    return Wire()
