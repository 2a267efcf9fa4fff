"""What a controller needs of the place where rollouts are kept; `state.rollout_store` is one, tests have another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from serving.rollouts.look import Counted

Document = Mapping[str, Any]


class Store(Protocol):
    """Blocking, called in threads. Each method raises Unavailable where the place does not answer."""

    def acquire(self, holder: str) -> int:
        """The caller's number while it is the one who judges, renewed by this; 0 while another one is."""

    def save(self, number: int, document: Document, *, live: bool, entry: Document | None) -> None:
        """Keep a document and what was done; InUse once a later controller has begun."""

    def freeze(self, number: int, *, frozen: bool) -> None:
        """Keep whether nothing may change; InUse once a later controller has begun."""

    def frozen(self) -> bool:
        """Whether nothing may change."""

    def live(self) -> Sequence[Document]:
        """Rollouts that are not over, or whose end is not in force yet."""

    def get(self, rollout_id: str) -> Document | None:
        """One rollout."""

    def counts(self, rollout_id: str, after: int) -> Counted:
        """What workers counted in the slices after this one."""

    def close(self, number: int, rollout_id: str, through: int) -> None:
        """Slices up to this one take no more; InUse once a later controller has begun."""

    def crashes(self, rollout_id: str) -> tuple[int, int]:
        """Batches that replicas took with them: of the canary, of the stable version."""

    def faults(self, rollout_id: str) -> tuple[int, int]:
        """Gateway workers that died in a run: of the canary, of the stable version."""

    def keys(self, rollout_id: str) -> int:
        """How many keys of its sample were seen so far."""

    def forget_step(self, rollout_id: str, step: int) -> None:
        """Which keys were counted in a step that is over is not needed any more."""

    def drop_oldest(self) -> None:
        """Forget ended rollouts beyond those that are kept."""
