"""Calls back those who waited for a read, without holding the loop for long."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence
from typing import Any

from serving.features.store.reading import Found, Then

log = logging.getLogger(__name__)

# No callback holds the loop for long: requests with many rows are told in several turns.
_LONGEST_TURN_S = 0.002


def tell(lots: Iterator[tuple[Then, Sequence[Any]]], found: Found | None) -> None:
    """Everybody, in their order; what takes long goes on in the next turn. A defect of one is logged."""
    began = time.monotonic()
    for then, lot in lots:
        try:
            then(lot, found)
        except Exception:
            # The defect of one must not strand the others of the same read.
            log.exception("feature rows could not be taken")
        if time.monotonic() - began > _LONGEST_TURN_S:
            asyncio.get_running_loop().call_soon(tell, lots, found)
            return
