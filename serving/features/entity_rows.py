"""One request's instances, decoded and checked: which rows to look up, and what the caller sent besides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Union

from serving.errors import ServingError

if TYPE_CHECKING:
    from serving.features.explanation import Wants
    from serving.features.plan import ReadPlan

Instance = Mapping[str, object]
# Has the instances read by another version's plan, and hears what came of it, perhaps later.
Again = Callable[["ReadPlan", Callable[[Union["EntityRows", ServingError]], None]], None]


class EntityRows:
    """`keys` has a key for each view of each instance, instance by instance; `sent` packed request features.

    `key` is the first instance's entity, for sticky assignment; None where the model reads no view. `count` is how many
    rows the tensors will have. `plan` is the one that read them: another version's plan reads them by `again`.
    `wants` is what the caller asks to be told of its values, and `told` what it is told once they are there.
    `request_id` is the `id` of the request, where it is text.
    """

    __slots__ = ("again", "count", "key", "keys", "plan", "request_id", "sent", "told", "wants")

    def __init__(  # noqa: PLR0913, PLR0917 - a dataclass in all but name
        self,
        plan: ReadPlan,
        count: int,
        keys: list[bytes],
        sent: list[tuple[bytes, ...]],
        key: bytes | None,
        again: Again,
        wants: Wants | None = None,
    ) -> None:
        # No dataclass: compiled, its fields' types must be there when it is made, and the plan is not.
        self.plan = plan
        self.count = count
        self.keys = keys
        self.sent = sent
        self.key = key
        self.again = again
        self.wants = wants
        self.told: Mapping[str, object] | None = None
        self.request_id: str | None = None
