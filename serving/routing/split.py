"""Which variant answers a request: a pure function of the route's salt and the sticky key."""

from __future__ import annotations

from xxhash import xxh3_64_intdigest

from serving.routing.table import WHOLE_BP, Route, Split

STABLE = "stable"


def choose_split(route: Route, sticky_key: bytes) -> Split:
    """The same key gets the same variant in every worker, and a growing canary only ever gains keys.

    Keys fall into 10,000 buckets; the variants other than stable take theirs from the low end in the table's order,
    and stable has all the rest. With more than one growing variant the first one's promise is kept, the later ones
    shift.
    """
    if len(route.splits) == 1:
        return route.splits[0]
    bucket = bucket_of(route.salt, sticky_key)
    taken = 0
    stable = route.splits[0]
    for split in route.splits:
        if split.variant == STABLE:
            stable = split
            continue
        taken += split.weight_bp
        if bucket < taken:
            return split
    return stable


def bucket_of(salt: str, sticky_key: bytes) -> int:
    """The key's bucket, 0 to 9,999: XXH3 (64 bits, seed 0) of salt, a NUL, and the key (docs/rollouts.md)."""
    return xxh3_64_intdigest(salt.encode() + b"\0" + sticky_key) % WHOLE_BP
