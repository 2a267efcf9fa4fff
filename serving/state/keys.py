"""The names of keys and channels in the control Redis; gateways and pools of neighbouring releases share them."""

from __future__ import annotations

# The routing table as JSON, and the channel that carries its epoch.
TABLE = "sluice:table"
# The set of models that tables have led to: one that a configuration names and that is not among them is new.
ROUTED = "sluice:table:models"

LEASE_MS = 6_000
RENEW_S = 2.0
TOMBSTONE_MS = 60_000


def members(pool: str) -> str:
    """The hash of a pool's members (field: replica id, value: its record) and the channel of the same name."""
    return f"sluice:pool:{pool}"


def lease(pool: str, replica: str) -> str:
    """Exists while the replica renews it."""
    return f"sluice:lease:{pool}:{replica}"


def tombstone(pool: str, replica: str) -> str:
    """Says for a minute that the replica has left by itself."""
    return f"sluice:gone:{pool}:{replica}"


def rollout(rollout_id: str) -> str:
    """What every key of a rollout begins with; the braces keep them together in a cluster."""
    return f"sluice:rollout:{{{rollout_id}}}"


# Sets of keys that were counted, of every rollout and of each of its steps.
SEEN_KEYS = "sluice:rollout:{*}:*seen:*"


def counted_as(key: str) -> str:
    """The id, with what tells its stages apart, under which a key of a rollout is kept."""
    return key.partition("{")[2].partition("}")[0]


def closed(rollout_id: str) -> str:
    """The last slice of a rollout that takes no more counts."""
    return f"{rollout(rollout_id)}:closed"


# Rollouts by id, as JSON, and the ids of those that are not over yet.
ROLLOUTS = "sluice:{rollouts}"
LIVE_ROLLOUTS = "sluice:{rollouts}:live"
# Who judges rollouts now, the number of the last one who did, and whether nothing may change.
CONTROLLER = "sluice:{rollouts}:lease"
CONTROLLER_NUMBER = "sluice:{rollouts}:fence"
FROZEN = "sluice:{rollouts}:frozen"


def audit(rollout_id: str) -> str:
    """The list of all that was done in a rollout, the oldest first."""
    return f"sluice:{{rollouts}}:audit:{rollout_id}"
