"""What of the configuration is never shown: passwords in addresses."""

from __future__ import annotations

import re

_PASSWORD = re.compile(r"(?<=://)([^:/@\s]*):([^@\s]*)@")
# The other place that redis-py and we read it from.
_OPTION = re.compile(r"(?<=[?&_]password=)[^&#\s]*")


def hidden(value: str) -> str:
    """The address with its password replaced; other text as it is."""
    return _OPTION.sub("***", _PASSWORD.sub(r"\1:***@", value))


def shown(value: object) -> object:
    """The value as people and logs may see it, containers included."""
    if isinstance(value, str):
        return hidden(value)
    if isinstance(value, dict):
        return {key: shown(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [shown(inner) for inner in value]
    return value
