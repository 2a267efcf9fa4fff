"""The versions that `sluice demo` can roll out, as the command line spells them."""

from __future__ import annotations

from enum import StrEnum


class Canary(StrEnum):
    """How the version is that is rolled out."""

    GOOD = "good"
    BAD = "bad"
    SLOW = "slow"
    SHIFTED = "shifted"
