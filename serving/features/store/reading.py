"""One read: the keys that requests of one turn of the loop want, in one command if no request wants more, and what
came back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

import hiredis

from serving.features.feast.hash_row import NO_HASH, HashRow, hash_row_of
from serving.features.store.redis_connection import packed

# More keys in one command would hold up everybody else's at the server, which does one after the other.
MOST_KEYS_A_COMMAND = 1_000
# Rows of Feast, and keys of a cluster, cost a command each; so many take as long to send and to read as a thousand
# packed ones of one node.
MOST_SINGLY_AT_ONCE = 100
# Told in one call: no callback holds the loop for long.
MOST_TOLD = 256

_VALUES = frozenset((bytes, type(None)))
_WRONG_TYPE = "WRONGTYPE"
_REDIRECTS = ("MOVED ", "ASK ")
_ASKING = packed((b"ASKING",))

Found = Mapping[bytes, bytes | None]
# Called with all, or some, of those who asked with it, in their order; None: the store did not answer.
Then = Callable[[Sequence[Any], Found | None], None]


class ClusteredRows(dict[bytes, bytes | None]):
    """Rows of one node of a cluster; `redirected` has the keys that are elsewhere, with what the node says of each.

    A key that is in neither could not be read.
    """

    def __init__(self) -> None:
        super().__init__()
        self.redirected: dict[bytes, str] = {}


@dataclass(slots=True, eq=False)
class Read:
    """`lots` are the keys, of which `asked` counts each as often as it is there; each is read once.

    `hashes` has the views that Feast keeps, by what their keys begin with; such a key is read by a command of its own.
    Keys of a cluster (`clustered`) each are too, since each may have moved; `asking` are those that are moving.

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
    clustered: bool = False
    asking: bool = False
    # How many replies the command that was packed last will have.
    replies: int = 1
    _left: Iterator[bytes] | None = None
    _looked_at: int = 0
    # The keys of each MGET; a key that is read by itself, with its view if Feast keeps it; None for what ASKING gets.
    _unanswered: deque[list[bytes] | tuple[bytes, HashRow | None] | None] = field(default_factory=deque)
    # All keys that were sent, with None until they are answered.
    _rows: dict[bytes, bytes | None] = field(default_factory=dict)
    _clustered: ClusteredRows = field(default_factory=ClusteredRows)

    @property
    def late(self) -> bool:
        """Nobody waits for it any more."""
        return not self.waiting

    def takes(self, keys: int) -> bool:
        """So many more keys still go into one command with those that are asked for; a cluster has no such command."""
        return self.clustered or self.asked + keys <= self._most

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
        if self.hashes or self.clustered:
            return self._by_store(keys)
        self._unanswered.append(keys)
        return packed((b"MGET", *keys))

    @property
    def _most(self) -> int:
        return MOST_SINGLY_AT_ONCE if self.hashes or self.clustered else MOST_KEYS_A_COMMAND

    def _by_store(self, keys: Sequence[bytes]) -> bytes:
        """One MGET for what is packed, then a command for each row of Feast; of a cluster a command for each row."""
        rows = [(key, hash_row_of(self.hashes, key)) for key in keys]
        together = [] if self.clustered else [key for key, hash_row in rows if hash_row is None]
        commands = []
        if together:
            self._unanswered.append(together)
            commands.append(packed((b"MGET", *together)))
        for key, hash_row in rows:
            if hash_row is None and not self.clustered:
                continue
            if self.asking:
                self._unanswered.append(None)
                commands.append(_ASKING)
            self._unanswered.append((key, hash_row))
            commands.append(packed((b"GET", key)) if hash_row is None else hash_row.command(key))
        self.replies = len(commands)
        return b"".join(commands)

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
            self._take_one(*keys, reply)
        elif keys is None:
            # Where ASKING is refused, so is what follows it.
            pass
        elif not isinstance(reply, list):
            self.error = str(reply) or "nothing"
        elif len(reply) != len(keys) or not _VALUES.issuperset(map(type, reply)):
            self.error = "another number of values"
        else:
            # Now, not when all are there: 80,000 at once take 10 ms.
            self._rows.update(zip(keys, reply, strict=True))
        self.answered = self.sent and not self._unanswered
        return self.answered

    def _take_one(self, key: bytes, hash_row: HashRow | None, reply: object) -> None:
        rows = self._clustered if self.clustered else self._rows
        if isinstance(reply, hiredis.ReplyError):
            self._take_error(key, hash_row, str(reply))
        elif hash_row is None:
            if type(reply) is bytes or reply is None:
                rows[key] = reply
            else:
                self.error = "no value"
        elif not isinstance(reply, list):
            self.error = str(reply) or "nothing"
        elif len(reply) != len(hash_row.fields) or not _VALUES.issuperset(map(type, reply)):
            self.error = "another number of values"
        else:
            rows[key] = hash_row.row(reply)

    def _take_error(self, key: bytes, hash_row: HashRow | None, error: str) -> None:
        if error.startswith(_WRONG_TYPE):
            # What is no string is no row, as MGET answers.
            (self._clustered if self.clustered else self._rows)[key] = NO_HASH if hash_row is not None else None
        elif error.startswith(_REDIRECTS):
            self._clustered.redirected[key] = error
            if not self.clustered:
                self.error = error
        else:
            self.error = error or "nothing"

    def found(self) -> Found | None:
        """The rows by key; None where the server answered with an error, or with anything but a value for each key.

        Of a cluster they are `ClusteredRows`, without the keys that the node refused; None where it refused them all.
        """
        if self.clustered:
            some = self._clustered or self._clustered.redirected or not self.error
            return self._clustered if some else None
        return None if self.error else self._rows

    def told(self) -> Iterator[tuple[Then, Sequence[Any]]]:
        """Whoever waits, once, in lots of `MOST_TOLD`; empties `waiting`."""
        waiting, self.waiting = self.waiting, {}
        return told(waiting)


def told(waiting: Mapping[Then, Sequence[Any]]) -> Iterator[tuple[Then, Sequence[Any]]]:
    """Whoever waits, in lots of `MOST_TOLD`."""
    return iter(
        [
            (then, several[start : start + MOST_TOLD])
            for then, several in waiting.items()
            for start in range(0, len(several), MOST_TOLD)
        ]
    )
