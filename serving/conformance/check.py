"""A check: one promise of the protocol, where it is written down, and the code that tries it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serving.conformance.server import Server


# Tries one promise: returns where it is kept, raises `Failed` or `Skipped` otherwise.
Try = Callable[["Server"], None]


class Severity(StrEnum):
    """What it means that a check fails.

    required: the specification, or an RFC below it, says so. extension: an extension's document, or that of something
    else that only some servers have, says so. recommended: a client in use needs it, or callers are better off.
    """

    REQUIRED = "required"
    EXTENSION = "extension"
    RECOMMENDED = "recommended"


class Outcome(StrEnum):
    """How a check ended; an error is a server that went away or a defect of the suite, never a verdict."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    SKIPPED = "skipped"
    ERROR = "error"


class Failed(Exception):
    """The server broke the promise; the text says how."""


class Skipped(Exception):
    """The promise cannot be tried here; the text says why."""


@dataclass(frozen=True, slots=True)
class Check:
    """`id` is stable. `extension` names what a server must advertise for the check to be run."""

    id: str
    promise: str
    source: str
    run: Try
    severity: Severity = Severity.REQUIRED
    extension: str = ""

    @property
    def area(self) -> str:
        """What the check belongs to: the id's first two words."""
        return ".".join(self.id.split(".")[:2])


@dataclass(frozen=True, slots=True)
class Result:
    """`reason` says what was wrong or why it was skipped; `evidence` what was sent and what came."""

    check: Check
    outcome: Outcome
    reason: str = ""
    evidence: tuple[str, ...] = ()
    took_s: float = 0.0

    @property
    def counts(self) -> bool:
        """It decides the exit code: a recommendation does not, an error always does."""
        if self.outcome is Outcome.ERROR:
            return True
        return self.outcome is Outcome.FAIL and self.check.severity is not Severity.RECOMMENDED


def expect(kept: object, otherwise: str) -> None:
    """Raise `Failed` with `otherwise` unless the promise was kept."""
    if not kept:
        raise Failed(otherwise)
