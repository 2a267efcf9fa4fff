"""Scenario files: found by name or path, read strictly, every wrong key told with its line."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import ValidationError

from loadtests.scenario.scenario import Scenario
from serving.config.document import read_yaml
from serving.config.layers import Layers
from serving.config.problems import problems_of
from serving.errors import ConfigInvalid

READY = Path(__file__).parents[1] / "scenarios"


def ready() -> list[str]:
    """Names of the scenarios that come with the product."""
    return sorted(file.stem for file in READY.glob("*.yaml"))


def find(name: str) -> Path:
    """A ready scenario by its name, else a file.

    Raises:
        ConfigInvalid: neither.
    """
    if re.fullmatch(r"[a-z0-9-]+", name) and name in ready():
        return READY / f"{name}.yaml"
    if Path(name).is_file():
        return Path(name)
    raise ConfigInvalid(f"there is no scenario {name!r}: name a YAML file, or one of {', '.join(ready())}")


def read(file: Path) -> Scenario:
    """A scenario of a file.

    Raises:
        ConfigInvalid: names every wrong key.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"{file} cannot be read as text: {error}") from error
    return parsed(text, str(file))


def parsed(text: str, name: str) -> Scenario:
    """The same of a text; `name` stands in messages.

    Raises:
        ConfigInvalid: names every wrong key.
    """
    layers = Layers()
    layers.add_file(read_yaml(text, name), name)
    try:
        return Scenario.model_validate(layers.values)
    except ValidationError as error:
        problems = problems_of(error, Scenario.model_json_schema(), layers.origins)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise ConfigInvalid(f"the scenario has {count}:\n" + "\n".join(f"  {line}" for line in problems)) from None
