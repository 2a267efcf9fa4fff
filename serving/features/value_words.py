"""How a value that somebody sent or wrote is told in a message."""

from __future__ import annotations

_LONGEST = 60


def kind_of(value: object) -> str:
    """What a value of JSON is, in the words of JSON."""
    if value is None:
        return "null"
    words = {bool: "a boolean", str: "text", int: "a whole number", float: "a number", list: "an array"}
    return words.get(type(value), "an object")


def shown(value: object) -> str:
    """The value itself, cut where it is long."""
    text = repr(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."
