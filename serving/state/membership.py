"""Who is a member of a pool after a look at the listing: a pure decision that an ill Redis cannot turn against us."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from serving.state.member import Member

Known = Mapping[str, Member]


def after_listing(known: Known, listing: Known, gone: Collection[str], failed: Collection[str]) -> dict[str, Member]:
    """Nobody leaves because a listing is short: only by a tombstone, or unlisted with a connection that failed.

    All arguments speak of one pool, by replica id: `gone` left by themselves, `failed` could not be reached since the
    listing before this one. A listed replica's record replaces what was known; a tombstone beats a record, since a
    listing may be older than it.
    """
    kept = {replica: member for replica, member in known.items() if replica not in failed}
    return {replica: member for replica, member in {**kept, **listing}.items() if replica not in gone}


def missing(known: Known, listing: Known) -> tuple[str, ...]:
    """Replicas whose tombstones are worth a look."""
    return tuple(replica for replica in known if replica not in listing)
