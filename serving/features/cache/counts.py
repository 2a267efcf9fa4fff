"""What the near cache of one worker has done since it began, as plain numbers that are read once a second."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class CacheCounts:
    """Look-ups by how they ended, reads for the sake of later look-ups, and what the server told.

    `hits` are fresh rows, `negatives` ids known to have no row, `refreshing` rows used while they are read anew,
    `joined` look-ups of what was being read, `misses` those that had to be read, `outdated` rows used because nothing
    answered.
    """

    hits: int = 0
    negatives: int = 0
    refreshing: int = 0
    joined: int = 0
    misses: int = 0
    outdated: int = 0
    refreshes: int = 0
    invalidations: int = 0
    flushes: int = 0
