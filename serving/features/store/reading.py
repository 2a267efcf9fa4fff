"""One read: the keys that requests of one turn of the loop want, and what came back."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

import hiredis

from serving.features.feast.entity_key import MARK
from serving.features.feast.hash_row import NO_HASH, HashRow
from serving.features.store.redis_connection import packed

# More keys in one command would hold up everybody else's at the server, which does one after the other.
MOST_KEYS_A_COMMAND = 1_000
# Rows of Feast cost a command each; so many take as long to send and to read as a thousand packed ones.
MOST_HASHES_AT_ONCE = 100
# Told in one call: no callback holds the loop for long.
MOST_TOLD = 256

_VALUES = frozenset((bytes, type(None)))
_NO_HASH = "WRONGTYPE"

Found = Mapping[bytes, bytes | None]
# Called with all, or some, of those who asked with it, in their order; None: the store did not answer.
Then = Callable[[Sequence[Any], Found | None], None]


@dataclass(slots=True, eq=False)
class Read:
    """`lots` are the keys, of which `asked` counts each as often as it is there; each is read once.

    `hashes` has the views that Feast keeps, by what their keys begin with; such a key is read by a command of its own.

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
    hashes: Mapping[bytes, HashRow] = field(default_factory=dict)
    # How many replies the command that was packed last will have.
    replies: int = 1
    _left: Iterator[bytes] | None = None
    _looked_at: int = 0
    # The keys of each MGET; a row of Feast with its view.
    _unanswered: deque[list[bytes] | tuple[bytes, HashRow]] = field(default_factory=deque)
    # All keys that were sent, with None until they are answered.
    _rows: dict[bytes, bytes | None] = field(default_factory=dict)

    @property
    def late(self) -> bool:
        """Nobody waits for it any more."""
        return not self.waiting

    def command(self) -> bytes | None:
        """The next packed command, or several, of `replies` replies; None where all that is left was read before.

        One by one, since to pack the keys of 80,000 rows at once held the loop for 21 ms.
        """
        if self.asked <= self._most:
            self._rows = dict.fromkeys(chain.from_iterable(self.lots))
            keys = list(self._rows)
            self.sent = True
        else:
            keys = self._next_keys()
        if not keys:
            self.answered = not self._unanswered
            return None
        if self.hashes:
            return self._by_store(keys)
        self._unanswered.append(keys)
        return packed((b"MGET", *keys))

    @property
    def _most(self) -> int:
        return MOST_HASHES_AT_ONCE if self.hashes else MOST_KEYS_A_COMMAND

    def _by_store(self, keys: Sequence[bytes]) -> bytes:
        """One MGET for what is packed, then a command for each row of Feast."""
        rows = [(key, self._hash_row(key)) for key in keys]
        mine = [key for key, hash_row in rows if hash_row is None]
        commands = []
        if mine:
            self._unanswered.append(mine)
            commands.append(packed((b"MGET", *mine)))
        for key, hash_row in rows:
            if hash_row is not None:
                self._unanswered.append((key, hash_row))
                commands.append(hash_row.command(key))
        self.replies = len(commands)
        return b"".join(commands)

    def _hash_row(self, key: bytes) -> HashRow | None:
        return self.hashes[key[: key.index(b":", len(MARK)) + 1]] if key.startswith(MARK) else None

    def _next_keys(self) -> list[bytes]:
        if self._left is None:
            self._left = chain.from_iterable(self.lots)
        keys: list[bytes] = []
        while not self.sent and not keys:
            piece = list(islice(self._left, self._most))
            keys = [key for key in dict.fromkeys(piece) if key not in self._rows]
            self._looked_at += len(piece)
            self.sent = self._looked_at == self.asked
        self._rows.update(dict.fromkeys(keys))
        return keys

    def take(self, reply: object) -> bool:
        """Keep the reply to the first command that has none; True with the last one."""
        keys = self._unanswered.popleft()
        if isinstance(keys, tuple):
            self._take_hash(*keys, reply)
        elif not isinstance(reply, list):
            self.error = str(reply) or "nothing"
        elif len(reply) != len(keys) or not _VALUES.issuperset(map(type, reply)):
            self.error = "another number of values"
        else:
            # Now, not when all are there: 80,000 at once take 10 ms.
            self._rows.update(zip(keys, reply, strict=True))
        self.answered = self.sent and not self._unanswered
        return self.answered

    def _take_hash(self, key: bytes, hash_row: HashRow, reply: object) -> None:
        if isinstance(reply, hiredis.ReplyError) and str(reply).startswith(_NO_HASH):
            self._rows[key] = NO_HASH
        elif not isinstance(reply, list):
            self.error = str(reply) or "nothing"
        elif len(reply) != len(hash_row.fields) or not _VALUES.issuperset(map(type, reply)):
            self.error = "another number of values"
        else:
            self._rows[key] = hash_row.row(reply)

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
