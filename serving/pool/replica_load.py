"""How busy a replica is, and how long rows wait for its pool: what Ray Serve's autoscaling is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from serving.wire.waits_frame import Waits


@dataclass(frozen=True, slots=True)
class ReplicaLoad:
    """`busy` is the share of the time since the last look in which batches ran, 1 where every slot always did.

    `waits` is of the gateway whose rows are worst off, with the rows of all gateways; None where none told of them.
    """

    busy: float
    waits: Waits | None

    def stats(self) -> dict[str, float]:
        """As numbers alone, which is all that Ray carries."""
        waits = self.waits or Waits()
        return {
            "busy": self.busy,
            "told": float(self.waits is not None),
            "wait_s": waits.wait_s,
            "may_s": waits.may_s,
            "goal_s": waits.goal_s,
            "rows": float(waits.rows),
        }


def load_of(stats: Mapping[str, float]) -> ReplicaLoad | None:
    """What `ReplicaLoad.stats` made; None of anything else, which a replica of another release may report."""
    try:
        waits = Waits(stats["wait_s"], stats["may_s"], stats["goal_s"], int(stats["rows"]))
        return ReplicaLoad(stats["busy"], waits if stats["told"] else None)
    except KeyError:
        return None


def worst_of(told: list[Waits]) -> Waits | None:
    """Of several gateways."""
    if not told:
        return None
    worst = max(told, key=lambda waits: waits.pressure)
    return worst._replace(rows=sum(waits.rows for waits in told))
