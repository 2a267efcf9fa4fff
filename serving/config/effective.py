"""The configuration that holds: read from everywhere, validated as a whole, each value with its origin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from serving.config.document import Path, read_yaml
from serving.config.layers import Layers, leaves
from serving.config.problems import problems_of
from serving.config.secrets import shown
from serving.config.settings import Settings
from serving.errors import ConfigInvalid

DEFAULT_FILE = "sluice.yaml"
Flags = Mapping[Path, tuple[str, Any]]


@dataclass(frozen=True, slots=True)
class Effective:
    """Valid settings; `origins` has what is no default."""

    settings: Settings
    origins: Mapping[Path, str]

    def rows(self) -> list[tuple[Path, object, str]]:
        """Path, value fit to be shown, and origin of every setting."""
        layers = Layers({}, dict(self.origins))
        dumped = self.settings.model_dump(mode="json")
        return [(path, shown(value), layers.origin(path)) for path, value in leaves(dumped)]


def effective(file: FilePath | None, environment: Mapping[str, str], flags: Flags) -> Effective:
    """Read and validate; `file` None takes `sluice.yaml` of the working directory if there is one.

    Raises:
        ConfigInvalid: names every wrong key.
    """
    layers = Layers()
    found = file or (FilePath(DEFAULT_FILE) if FilePath(DEFAULT_FILE).is_file() else None)
    if found is not None:
        layers.add_file(read_yaml(_text(found), str(found)), str(found))
    layers.add_environment(environment, Settings.model_fields)
    layers.add_flags(flags)
    return Effective(validated(layers), layers.origins)


def validated(layers: Layers) -> Settings:
    """The settings that the layers make.

    Raises:
        ConfigInvalid: names every wrong key with its origin.
    """
    try:
        return Settings.model_validate(layers.values)
    except ValidationError as error:
        problems = problems_of(error, Settings.model_json_schema(), layers.origins)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise ConfigInvalid(f"the configuration has {count}:\n" + "\n".join(f"  {line}" for line in problems)) from None


def _text(file: FilePath) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise ConfigInvalid(f"{file} cannot be read: {reason}") from error
