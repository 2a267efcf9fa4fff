"""A real Valkey for each test of this folder, and the commands that are given with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.features.feature_commands import Commands
from tests.integration.valkey_server import Server
from tests.integration.valkey_server import server as server  # noqa: PLC0414 - a fixture


@pytest.fixture
def commands(tmp_path: Path, server: Server) -> Commands:
    return Commands(tmp_path, server)
