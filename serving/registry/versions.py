"""Version numbers: how a folder's name says one, and which of several answers."""

from __future__ import annotations

import re
from collections.abc import Iterable

# The largest integer that JSON readers of every language keep exactly (RFC 8259, section 6).
HIGHEST = 2**53 - 1

_CANONICAL = re.compile(r"[1-9][0-9]{0,15}", re.ASCII)


def parse_version(text: str) -> int | None:
    """The version that a folder of this name holds; None for anything but 1, 2, 3 ... as people write them.

    "01" is none, since it would be a second folder for version 1.
    """
    if _CANONICAL.fullmatch(text) is None:
        return None
    version = int(text)
    return version if version <= HIGHEST else None


def default_version(versions: Iterable[int]) -> int | None:
    """The version that answers when a request names none: the highest; None where there is none."""
    return max(versions, default=None)
