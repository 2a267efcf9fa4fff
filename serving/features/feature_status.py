"""What became of a feature's value, in the words of metrics and of `x-sluice-degraded`."""

from __future__ import annotations

from typing import Protocol

from serving.inference import VersionKey

PRESENT = "present"
# The row is there, and says that there is no value.
NULL = "null"
NOT_FOUND = "not_found"
# Older than the view's `max_age`.
STALE = "stale"
# From the near cache, while the store does not answer: used, though it may have been written anew.
OUTDATED = "stale_used"
# Written for another form of the view, or no row of ours at all.
UNREADABLE = "unreadable"
# The store is away, or answered too late.
UNAVAILABLE = "unavailable"

STATUSES = (PRESENT, NULL, NOT_FOUND, STALE, OUTDATED, UNREADABLE, UNAVAILABLE)

# What an answer says of a value (see docs/features.md): of a row that cannot be read nothing is known but the default.
WORDS = {
    PRESENT: "PRESENT",
    NULL: "NULL",
    NOT_FOUND: "NOT_FOUND",
    STALE: "STALE",
    OUTDATED: "STALE",
    UNREADABLE: "DEFAULT",
    UNAVAILABLE: "DEFAULT",
}

# Why a read ended without an answer: no connection; no answer in time; an answer that is an error; too many keys in
# flight; a node that is left alone, since most of what it answered was an error or late; a request that could not wait.
AWAY, LATE, REFUSED, FULL, OPEN, BUDGET = "away", "late", "refused", "full", "open", "budget"
READ_ERRORS = (AWAY, LATE, REFUSED, FULL, OPEN, BUDGET)


class FeatureObserver(Protocol):
    """Counts what was seen of features; called on the loop's thread."""

    def feature_values(self, key: VersionKey, variant: str, feature: tuple[str, str], counts: dict[str, int]) -> None:
        """So many values of a feature (its view and its name) that a version in that role took had each status since
        the last call; not called for each request.
        """

    def feature_read_failed(self, reason: str) -> None:
        """A read of one tick, or of one request, ended without an answer, for one of `READ_ERRORS`."""
