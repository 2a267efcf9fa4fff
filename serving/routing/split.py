"""Which variant answers a request: a pure function of the route's salt and the sticky key."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Sequence

from xxhash import xxh3_64_intdigest

from serving.errors import BadRequest
from serving.routing.table import WHOLE_BP, Route, Split

STABLE = "stable"


class Buckets:
    """Whose each of a route's 10,000 buckets is, worked out once for all requests that the route divides.

    The variants other than stable take theirs from the low end in the table's order, and stable has all the rest.
    """

    __slots__ = ("_prefix", "_upper", "splits")

    def __init__(self, salt: str, splits: Sequence[Split]) -> None:
        growing = [split for split in splits if split.variant != STABLE]
        rest = next((split for split in splits if split.variant == STABLE), splits[0])
        self.splits = (*growing, rest)
        self._prefix = _prefix(salt)
        self._upper: list[int] = []
        taken = 0
        for split in growing:
            taken += split.weight_bp
            self._upper.append(taken)

    def place(self, sticky_key: bytes | None) -> int:
        """The index in `splits` of who has the key's bucket; without a key each request draws one for itself."""
        return bisect_right(self._upper, _bucket(self._prefix + sticky_key) if sticky_key else _drawn())


def choose_split(route: Route, sticky_key: bytes | None) -> Split:
    """The same key gets the same variant in every worker, and a growing canary only ever gains keys.

    With more than one growing variant the first one's promise is kept, the later ones shift.
    """
    if len(route.splits) == 1:
        return route.splits[0]
    buckets = Buckets(route.salt, route.splits)
    return buckets.splits[buckets.place(sticky_key)]


def named_split(route: Route, variant: str) -> Split:
    """The variant's split, for who chooses it by name; raises BadRequest where the route has none."""
    for split in route.splits:
        if split.variant == variant:
            return split
    known = [split.variant for split in route.splits]
    raise BadRequest(f"model {route.model!r} has no variant {variant!r}; it has {known}")


def bucket_of(salt: str, sticky_key: bytes) -> int:
    """The key's bucket, 0 to 9,999: XXH3 (64 bits, seed 0) of salt, a NUL, and the key (docs/rollouts.md)."""
    return _bucket(_prefix(salt) + sticky_key)


def _prefix(salt: str) -> bytes:
    return salt.encode() + b"\0"


def _drawn() -> int:
    return int(random.random() * WHOLE_BP)  # noqa: S311 - a fair split, no secret


def _bucket(salted: bytes) -> int:
    return xxh3_64_intdigest(salted) % WHOLE_BP
