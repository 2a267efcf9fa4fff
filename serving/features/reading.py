"""One read: the keys that requests of one turn of the loop want, and what came back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from serving.features.redis_connection import packed

# More keys in one command would hold up everybody else's at the server, which does one after the other.
MOST_KEYS_A_COMMAND = 1_000

_VALUES = frozenset((bytes, type(None)))

Found = Mapping[bytes, bytes | None]
Then = Callable[[Found | None], None]


@dataclass(slots=True, eq=False)
class Read:
    """`wanted` has each key once, `asked` counts them as often as they were asked for.

    `thens` is empty once everybody was told; the replies of a late read still come, and are dropped.
    """

    sent_at: float = 0.0
    asked: int = 0
    wanted: dict[bytes, None] = field(default_factory=dict)
    thens: list[Then] = field(default_factory=list)
    values: list[bytes | None] = field(default_factory=list)
    unanswered: int = 0
    error: str = ""

    @property
    def late(self) -> bool:
        """Nobody waits for it any more."""
        return not self.thens

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

    def told(self) -> Iterator[Then]:
        """Whoever waits, once; empties `thens`."""
        thens, self.thens = self.thens, []
        return iter(thens)
