"""What is looked up: so many views of so many features, of so many keys, for so many instances a request.

Needs nothing but Python: the peers' programs read it in environments of their own.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = "shape.json"
PROJECT = "bench"
STORE = "features.url"


@dataclass(frozen=True, slots=True)
class Shape:
    """`same` answers the row itself, as a server of features does; else it is the tiny model, of that width."""

    views: int = 4
    width: int = 10
    keys: int = 100_000
    instances: int = 1
    same: bool = False

    @property
    def model(self) -> str:
        """What is asked for."""
        return "same" if self.same else "mlp"

    @property
    def features(self) -> int:
        """Of one row of the model."""
        return self.views * self.width

    @property
    def names(self) -> list[str]:
        """Of the views, and of what callers send for each."""
        return [f"view{number}" for number in range(self.views)]

    def columns(self, view: str) -> list[str]:
        """Of one view; Feast wants names that no other view has."""
        return [f"{view}_f{number}" for number in range(self.width)]

    def write(self, folder: Path) -> None:
        """For the peers."""
        (folder / FILE).write_text(json.dumps(asdict(self)))


def read(folder: Path) -> Shape:
    """What `write` wrote."""
    return Shape(**json.loads((folder / FILE).read_text()))


def entity_id(number: int) -> str:
    """As ids often look."""
    return f"{number:08d}"
