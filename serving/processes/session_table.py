"""The routing table that a session's configuration and versions come to."""

from __future__ import annotations

from serving.config.first_table import first_table
from serving.config.settings import Settings
from serving.inference import VersionKey
from serving.processes.start_message import StartMessage
from serving.routing.table import RouteTable, load


def session_table(start: StartMessage) -> RouteTable:
    """What gateways begin with, and the engine publishes.

    Raises:
        ConfigInvalid: the configuration in the start message is none.
    """
    if start.table:
        return load(start.table)
    versions = [VersionKey(served.model, served.version) for served in start.models]
    return first_table(Settings.model_validate(start.config), versions)
