"""A replica's lease on its membership, from the pool's side: renewed, given up, cleared away for the dead."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from serving.state import keys
from serving.state.member import Member, dump

if TYPE_CHECKING:
    import redis


def renew(client: redis.Redis, pool: str, member: Member) -> bool:
    """Write record and lease together, so that a Redis that came back empty is filled again; tell whether it was new.

    Followers are told only of a record that is new or has changed: renewals are no news.
    """
    record = dump(member)
    with client.pipeline(transaction=True) as steps:
        steps.hget(keys.members(pool), member.replica)
        steps.hset(keys.members(pool), member.replica, record)
        steps.set(keys.lease(pool, member.replica), "1", px=keys.LEASE_MS)
        held, *_ = steps.execute()
    fresh = held is None or held != record.encode()
    if fresh:
        client.publish(keys.members(pool), member.replica)
    return fresh


def give_up(client: redis.Redis, pool: str, replica: str) -> None:
    """Remove record and lease, and leave the tombstone without which nobody drops a member that can be reached."""
    with client.pipeline(transaction=True) as steps:
        steps.set(keys.tombstone(pool, replica), "1", px=keys.TOMBSTONE_MS)
        steps.hdel(keys.members(pool), replica)
        steps.delete(keys.lease(pool, replica))
        steps.publish(keys.members(pool), replica)
        steps.execute()


def clear_away(client: redis.Redis, pool: str) -> list[str]:
    """Remove the records of replicas whose lease ran out: those that died without a word.

    Only for a caller whose own lease was never in danger for longer than a lease lasts: else they ran out because
    the server was away. No tombstone: a gateway that still reaches the replica keeps it.
    """
    replicas = [field.decode() for field in cast("list[bytes]", client.hkeys(keys.members(pool)))]
    if not replicas:
        return []
    leases = cast("list[bytes | None]", client.mget([keys.lease(pool, replica) for replica in replicas]))
    dead = [replica for replica, lease in zip(replicas, leases, strict=True) if lease is None]
    if dead:
        client.hdel(keys.members(pool), *dead)
        client.publish(keys.members(pool), dead[0])
    return dead
