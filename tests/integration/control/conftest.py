"""A real Valkey for each test of this folder."""

from __future__ import annotations

from tests.integration.valkey_server import server as server  # noqa: PLC0414 - a fixture
