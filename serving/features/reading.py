"""One read: the keys that requests of one turn of the loop want, and what came back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from serving.features.redis_connection import packed

# More keys in one command would hold up everybody else's at the server, which does one after the other.
MOST_KEYS_A_COMMAND = 1_000
# Told in one call: no callback holds the loop for long.
MOST_TOLD = 256

_VALUES = frozenset((bytes, type(None)))

Found = Mapping[bytes, bytes | None]
# Called with all, or some, of those who asked with it, in their order; None: the store did not answer.
Then = Callable[[Sequence[Any], Found | None], None]


@dataclass(slots=True, eq=False)
class Read:
    """`wanted` has each key once, `asked` counts them as often as they were asked for.

    `waiting` holds, by what is to be called, who asked; it is empty once everybody was told. The replies of a late read
    still come, and are dropped.
    """

    sent_at: float = 0.0
    asked: int = 0
    wanted: dict[bytes, None] = field(default_factory=dict)
    waiting: dict[Then, list[Any]] = field(default_factory=dict)
    values: list[bytes | None] = field(default_factory=list)
    unanswered: int = 0
    error: str = ""

    @property
    def late(self) -> bool:
        """Nobody waits for it any more."""
        return not self.waiting

    def commands(self) -> list[bytes]:
        """Packed commands that read all of `wanted`."""
        keys = list(self.wanted)
        starts = range(0, len(keys), MOST_KEYS_A_COMMAND)
        commands = [packed((b"MGET", *keys[start : start + MOST_KEYS_A_COMMAND])) for start in starts]
        self.unanswered = len(commands)
        return commands

    def take(self, reply: object) -> bool:
        """Keep the reply to one command; True with the last one."""
        if isinstance(reply, list):
            self.values += reply
        else:
            self.error = str(reply)
        self.unanswered -= 1
        return not self.unanswered

    def found(self) -> Found | None:
        """The rows by key; None where the server answered with an error, or with anything but a value for each key."""
        if self.error or len(self.values) != len(self.wanted) or not _VALUES.issuperset(map(type, self.values)):
            return None
        return dict(zip(self.wanted, self.values, strict=True))

    def told(self) -> Iterator[tuple[Then, Sequence[Any]]]:
        """Whoever waits, once, in lots of `MOST_TOLD`; empties `waiting`."""
        waiting, self.waiting = self.waiting, {}
        return iter(
            [
                (then, several[start : start + MOST_TOLD])
                for then, several in waiting.items()
                for start in range(0, len(several), MOST_TOLD)
            ]
        )
