"""One request's instances, decoded and checked: which rows to look up, and what the caller sent besides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serving.features.plan import ReadPlan

Instance = Mapping[str, object]


@dataclass(slots=True)
class EntityRows:
    """`keys` has a key for each view of each instance, instance by instance; `sent` packed request features.

    `key` is the first instance's entity, for sticky assignment; None where the model reads no view. `plan` is the one
    that read them: another version's plan reads `instances` again.
    """

    plan: ReadPlan
    instances: Sequence[object]
    keys: list[bytes]
    sent: list[tuple[bytes, ...]]
    key: bytes | None

    @property
    def count(self) -> int:
        """How many rows the tensors will have."""
        return len(self.instances)
