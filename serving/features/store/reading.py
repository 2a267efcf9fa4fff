"""One read: the keys that requests of one turn of the loop want, and what came back."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

from serving.features.store.redis_connection import packed

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
    """`lots` are the keys, of which `asked` counts each as often as it is there; each is read once.

    `sent` says that no command is left, `answered` that nothing more will come.

    `waiting` holds, by what is to be called, who asked; it is empty once everybody was told. The replies of a late read
    still come, and are dropped.
    """

    sent_at: float = 0.0
    asked: int = 0
    sent: bool = False
    answered: bool = False
    waiting: dict[Then, list[Any]] = field(default_factory=dict)
    error: str = ""
    lots: list[Collection[bytes]] = field(default_factory=list)
    _left: Iterator[bytes] | None = None
    _looked_at: int = 0
    _unanswered: deque[list[bytes]] = field(default_factory=deque)
    # All keys that were sent, with None until they are answered.
    _rows: dict[bytes, bytes | None] = field(default_factory=dict)

    @property
    def late(self) -> bool:
        """Nobody waits for it any more."""
        return not self.waiting

    def command(self) -> bytes | None:
        """The next packed command; None where all that is left was read before.

        One by one, since to pack the keys of 80,000 rows at once held the loop for 21 ms.
        """
        if self.asked <= MOST_KEYS_A_COMMAND:
            self._rows = dict.fromkeys(chain.from_iterable(self.lots))
            keys = list(self._rows)
            self.sent = True
        else:
            keys = self._next_keys()
        if not keys:
            self.answered = not self._unanswered
            return None
        self._unanswered.append(keys)
        return packed((b"MGET", *keys))

    def _next_keys(self) -> list[bytes]:
        if self._left is None:
            self._left = chain.from_iterable(self.lots)
        keys: list[bytes] = []
        while not self.sent and not keys:
            piece = list(islice(self._left, MOST_KEYS_A_COMMAND))
            keys = [key for key in dict.fromkeys(piece) if key not in self._rows]
            self._looked_at += len(piece)
            self.sent = self._looked_at == self.asked
        self._rows.update(dict.fromkeys(keys))
        return keys

    def take(self, reply: object) -> bool:
        """Keep the reply to the first command that has none; True with the last one."""
        keys = self._unanswered.popleft()
        if not isinstance(reply, list):
            self.error = str(reply) or "nothing"
        elif len(reply) != len(keys) or not _VALUES.issuperset(map(type, reply)):
            self.error = "another number of values"
        else:
            # Now, not when all are there: 80,000 at once take 10 ms.
            self._rows.update(zip(keys, reply, strict=True))
        self.answered = self.sent and not self._unanswered
        return self.answered

    def found(self) -> Found | None:
        """The rows by key; None where the server answered with an error, or with anything but a value for each key."""
        return None if self.error else self._rows

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
