"""The commands of features as a person gives them, with one configuration and one server."""

from __future__ import annotations

from pathlib import Path

from tests.integration.cli.sluice_command import Ended, sluice
from tests.integration.valkey_server import Server

CONFIG = """
feature_views:
  plane:
    entity: [tailnum]
    max_age: 30d
    features: {year: {dtype: float32, default: 2001.5}, seats: int64, jet: bool}
  route:
    entity: [origin, dest]
    features: {delay: float64}
"""
HEADER = "tailnum,year,seats,jet"


class Commands:
    """The commands with one configuration and one server."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder = folder
        self.config = folder / "sluice.yaml"
        self.config.write_text(CONFIG)
        self.flags: tuple[str, ...] = ("--config", str(self.config), "--redis-url", server.url)

    def table(self, name: str, *lines: str) -> Path:
        path = self.folder / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def run(self, *arguments: str) -> Ended:
        return sluice("features", *arguments, *self.flags, cwd=self.folder)
