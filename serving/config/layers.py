"""Where values come from: defaults, then the file, then the environment, then the command line; later ones win."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from serving.config.document import Document, Path
from serving.errors import ConfigInvalid

PREFIX = "SLUICE_"
SEPARATOR = "__"


@dataclass(slots=True)
class Layers:
    """The values so far, and for each value that is no default who set it."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[Path, str] = field(default_factory=dict)

    def add_file(self, document: Document, name: str) -> None:
        """All of a file; origins name its lines."""
        for path, value in leaves(document.values):
            self.put(path, value, f"{name} line {document.lines.get(path) or document.lines[path[:1]]}")

    def add_environment(self, environment: Mapping[str, str], known: Iterable[str]) -> None:
        """Every `SLUICE_SECTION__KEY`, its value read as YAML; `known` are the sections there are.

        Raises:
            ConfigInvalid: a value that is no YAML, or a variable without a key.
        """
        for name in sorted(environment):
            if not name.startswith(PREFIX) or SEPARATOR not in name:
                continue
            path = self._path_of(name, known)
            try:
                value = yaml.safe_load(environment[name])
            except yaml.YAMLError:
                # Neither the value nor the error, which quotes it: it may hold a password.
                raise ConfigInvalid(
                    f"{name}: its value is no YAML; put quotes around text that means something to it"
                ) from None
            self.put(path, value, f"environment {name}")

    def add_flags(self, flags: Mapping[Path, tuple[str, Any]]) -> None:
        """Command-line flags by path: the flag's name and its value."""
        for path, (flag, value) in flags.items():
            self.put(path, value, f"flag {flag}")

    def put(self, path: Path, value: object, origin: str) -> None:
        """Set one value; what stood at or below the path, or in its way, goes."""
        inner = self.values
        for depth, key in enumerate(path[:-1], 1):
            if not isinstance(inner.get(key), dict):
                inner[key] = {}
                self.origins.pop(path[:depth], None)
            inner = inner[key]
        for other in [known for known in self.origins if known[: len(path)] == path]:
            del self.origins[other]
        inner[path[-1]] = value
        self.origins[path] = origin

    def _path_of(self, name: str, known: Iterable[str]) -> Path:
        parts = name.removeprefix(PREFIX).split(SEPARATOR)
        if not all(parts):
            raise ConfigInvalid(f"{name}: between {SEPARATOR} must stand the names of a section and a key")
        inner: Any = dict.fromkeys(known) | self.values
        path = []
        for part in parts:
            key = _as_written(part, inner if isinstance(inner, dict) else {})
            path.append(key)
            inner = inner.get(key) if isinstance(inner, dict) else None
        return tuple(path)

    def origin(self, path: Path) -> str:
        """Who set the value at a path: itself, or the nearest thing around it that was set whole."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.origins:
                return self.origins[path[:length]]
        return "default"


def _as_written(part: str, known: Mapping[str, Any]) -> str:
    """A shell's variable has no dashes: SLUICE_MODELS__FLIGHT_DELAY means the model flight-delay if there is one."""
    plain = part.lower()
    return next((key for key in known if key.lower().replace("-", "_").replace(".", "_") == plain), plain)


def leaves(values: Mapping[str, Any], above: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value that is no mapping, or an empty one, with its path."""
    for key, value in values.items():
        path = (*above, str(key))
        if isinstance(value, dict) and value:
            yield from leaves(value, path)
        else:
            yield path, value


def explain(origins: Mapping[Path, str], path: Path) -> str:
    """The origin for a message about `path`, empty for defaults."""
    for length in range(len(path), 0, -1):
        if path[:length] in origins:
            return f" ({origins[path[:length]]})"
    below = [origin for known, origin in origins.items() if known[: len(path)] == path]
    return f" ({below[0]})" if below else ""
