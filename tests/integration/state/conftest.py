"""A real Valkey for each test of this folder."""

from __future__ import annotations

import pytest

from tests.integration.valkey_server import server as server  # noqa: PLC0414 - a fixture


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Operations may take longer than a busy machine holds them up."""
    monkeypatch.setattr("serving.state.connection.OPERATION_S", 10.0)
