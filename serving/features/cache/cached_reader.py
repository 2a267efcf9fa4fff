"""The near cache in front of a reader: answers what it knows, and reads the rest, each row once at a time.

The rule that keeps old values out: a row is kept only if its read is still the one that `_in_flight` has for its key.
What the server tells of a key, and every change of trust, takes reads out of it; who asks later starts a new one.

What is told in the very turn in which a request asked counts for it too. Both then waited in their sockets, in an order
that the loop does not know, and its caller may have asked because the write had been answered.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from serving.features.cache.counts import CacheCounts
from serving.features.cache.entry import Entry
from serving.features.cache.lifetime import Lifetime, ends_of, negative_ends_of, refreshed_early
from serving.features.cache.load import Load, Pending, Then, Turn
from serving.features.cache.near_cache import NearCache
from serving.features.cache.s3_fifo import MOST_HITS
from serving.features.cache.telling import tell_in_lots
from serving.features.cached_rows import CachedRows
from serving.features.store.feature_reader import FeatureReader
from serving.features.store.reading import Found

_OURS = b"sluice:f:"

# A request that reads more is no sign that its rows will be wanted again, and to look at each here takes time.
MOST_KEYS = 1_000


class CachedReader:
    """A reader like the one that it is put in front of; `lifetimes` are those of the views whose rows it keeps, by what
    their keys begin with. `clock` is monotonic, in seconds; `draw` uniform in [0, 1).
    """

    def __init__(
        self,
        reader: FeatureReader,
        most_bytes: int,
        lifetimes: Mapping[bytes, Lifetime],
        clock: Callable[[], float],
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.counts = CacheCounts()
        self.cache = NearCache(most_bytes)
        self._reader = reader
        self._lifetimes = dict(lifetimes)
        self._clock = clock
        self._draw = draw
        self._entries = self.cache.entries
        self._epoch = 0
        self._heard = False
        self._in_flight: dict[bytes, Load] = {}
        self._turn: Turn | None = None
        # Those that are not over: more than one where something was told in between.
        self._open: list[Turn] = []
        self._waiting_keys = 0
        # Kept, since the reader knows by it who may be told together.
        self._read = self._loaded

    async def start(self) -> None:
        """Start the reader."""
        await self._reader.start()

    async def stop(self) -> None:
        """Stop the reader; what is still read is called back."""
        await self._reader.stop()

    @property
    def most_keys(self) -> int:
        """More are never read at the same time."""
        return self._reader.most_keys

    @property
    def heard(self) -> bool:
        """The server tells of writes."""
        return self._heard

    def has_room(self, keys: int) -> bool:
        """So many more keys may be read, or waited for, now."""
        return self._waiting_keys + keys <= self._reader.most_keys and self._reader.has_room(keys)

    def fetch(self, keys: Collection[bytes], who: object, then: Then) -> None:
        """As the reader's; what needs no read is told at the end of this turn."""
        if len(keys) > MOST_KEYS:
            self._reader.fetch(keys, who, then)
            return
        turn = self._turn
        if turn is None:
            turn = self._turn = Turn(self._clock())
            self._open.append(turn)
            asyncio.get_running_loop().call_soon(self._end_turn, turn)
        now, found, entries, epoch = turn.now, turn.found, self._entries, self._epoch
        missing: list[bytes] = []
        hits = 0
        for key in keys:
            entry = entries.get(key)
            if entry is not None and now < entry.quiet and entry.epoch == epoch:
                if entry.hits < MOST_HITS:
                    entry.hits += 1
                found[key] = entry.row
                hits += 1
            elif entry is None or not self._usable(entry, turn):
                missing.append(key)
        self.counts.hits += hits
        if missing:
            self._wait(missing, Pending(who, then, turn, keys))
            return
        turn.add(who, then, keys)

    def kept(self, keys: Collection[bytes]) -> CachedRows:
        """What is used of these keys by who cannot wait for a read: what needs none, and else what was read before."""
        rows, now = CachedRows(), self._clock()
        for key in keys:
            entry = self._entries.get(key)
            if entry is None:
                continue
            if entry.epoch == self._epoch and now < entry.refreshed:
                rows[key] = entry.row
            elif entry.row is not None and now < entry.hard:
                rows[key] = entry.row
                rows.outdated.add(key)
        self.counts.outdated += len(rows.outdated)
        return rows

    def invalidate(self, keys: Sequence[bytes]) -> None:
        """These keys were written: forget their rows, and what is being read of them is not kept."""
        for key in keys:
            self._overtake(key, self._in_flight.pop(key, None))
            self.cache.drop(key)
        self.counts.invalidations += len(keys)

    def flush(self) -> None:
        """Everything was written: forget all rows."""
        for turn in self._open:
            turn.written.update(turn.found)
        for key, load in self._in_flight.items():
            self._overtake(key, load)
        self._turn = None
        self._in_flight.clear()
        self.cache.clear()
        self.counts.flushes += 1

    def trust(self, *, heard: bool) -> None:
        """From now on the server tells of writes, or does not any more.

        What is known may have been written meanwhile: it is read again, and used as it is only where nothing answers.
        """
        self._heard = heard
        self._turn = None
        self._epoch += 1
        self._in_flight.clear()

    def _overtake(self, key: bytes, load: Load | None) -> None:
        """A key was written: requests of turns that are not over read it again, if they want it."""
        if not self._open:
            return
        if load is not None:
            load.leave_out(key, self._open)
        for turn in self._open:
            if load is not None or key in turn.found:
                turn.written.add(key)
                # Whoever asks from now on must not be given what others of this turn find.
                self._turn = None

    def _usable(self, entry: Entry, turn: Turn) -> bool:
        """An entry that is not simply fresh; has it read anew where that is due."""
        now = turn.now
        if entry.epoch != self._epoch or now >= entry.refreshed:
            return False
        if entry.hits < MOST_HITS:
            entry.hits += 1
        turn.found[entry.key] = entry.row
        if now >= entry.fresh:
            self.counts.refreshing += 1
            self._refresh(entry.key, turn)
        elif entry.row is None:
            self.counts.negatives += 1
        else:
            self.counts.hits += 1
            if refreshed_early(now, entry.fresh, entry.cost_s, 1.0 - self._draw()):
                self._refresh(entry.key, turn)
        return True

    def _refresh(self, key: bytes, turn: Turn) -> None:
        """Read it for those who come later; nobody waits.

        What it finds is of no turn: who comes once the row that is used here is over waits for it, and gets no old one.
        """
        if key in self._in_flight or not self._reader.has_room(1):
            return
        load = self._in_flight[key] = Load(Turn(turn.now), [key])
        self.counts.refreshes += 1
        self._reader.fetch((key,), load, self._read)

    def _wait(self, missing: list[bytes], pending: Pending) -> None:
        """Have a request wait for these of its keys."""
        turn = pending.turn
        if not pending.reading:
            turn.pending.append(pending)
        pending.reading += len(missing)
        self._waiting_keys += len(missing)
        own: list[bytes] = []
        joined: list[Load] = []
        for key in missing:
            load = self._in_flight.get(key)
            if load is None:
                own.append(key)
            else:
                load.joined.append((pending, key))
                if load not in joined:
                    joined.append(load)
        pending.left += len(joined)
        for load in joined:
            load.waiting.append(pending)
        self.counts.joined += len(missing) - len(own)
        self.counts.misses += len(own)
        if own:
            load = Load(turn, own)
            load.waiting.append(pending)
            pending.left += 1
            for key in own:
                if self._lifetime(key) is not None:
                    self._in_flight[key] = load
            # Last, since a reader that is away calls back at once.
            self._reader.fetch(own, load, self._read)

    def _loaded(self, loads: Sequence[Load], found: Found | None) -> None:
        told: dict[int, tuple[Turn, dict[Then, list[Any]]]] = {}
        for load in loads:
            self._finish(load, found)
            for pending in load.waiting:
                pending.left -= 1
                if not pending.left:
                    self._waiting_keys -= pending.reading
                    pending.reading = 0
                    turn = pending.turn
                    if turn.written:
                        turn.held.append(pending)
                        continue
                    told.setdefault(id(turn), (turn, {}))[1].setdefault(pending.then, []).append(pending.who)
        for turn, waiting in told.values():
            tell_in_lots(waiting, turn.found)

    def _finish(self, load: Load, found: Found | None) -> None:
        turn, now = load.turn, self._clock()
        for key in load.keys:
            mine = self._in_flight.get(key) is load
            if mine:
                del self._in_flight[key]
            if load.left_out is not None and key in load.left_out:
                continue
            if found is None or key not in found:
                self._fall_back(key, load, now)
                continue
            row = found[key]
            if mine:
                self._keep(key, row, load.began, now - load.began)
            # What was used already is left as it is: rows of one answer are of one time.
            if key not in turn.found:
                turn.found[key] = row
        for pending, key in load.joined:
            joiner = pending.turn
            if joiner is not turn and key in turn.found and key not in joiner.found:
                joiner.found[key] = turn.found[key]
                if key in turn.found.outdated:
                    joiner.found.outdated.add(key)

    def _keep(self, key: bytes, row: bytes | None, began: float, cost_s: float) -> None:
        lifetime = self._lifetime(key)
        if lifetime is None:
            return
        if row is None:
            ends = negative_ends_of(lifetime, began, self._draw(), heard=self._heard)
        else:
            ends = ends_of(lifetime, began, cost_s, self._draw(), heard=self._heard)
        self.cache.put(key, row, ends, cost_s, self._epoch)

    def _fall_back(self, key: bytes, load: Load, now: float) -> None:
        """Nothing answers: what was read before is used up to its hard limit, and told of, if anybody waits."""
        entry, turn = self._entries.get(key), load.turn
        if entry is None or entry.row is None or now >= entry.hard or key in turn.found or not load.waiting:
            return
        turn.found[key] = entry.row
        turn.found.outdated.add(key)
        self.counts.outdated += 1

    def _lifetime(self, key: bytes) -> Lifetime | None:
        """Of the view whose key it is, by its prefix: `features/keys.py`, or `feast:<view>:`."""
        start = len(_OURS) if key.startswith(_OURS) else key.find(b":") + 1
        return self._lifetimes.get(key[: key.find(b":", start) + 1])

    def _end_turn(self, turn: Turn) -> None:
        self._open.remove(turn)
        if self._turn is turn:
            self._turn = None
        if turn.written:
            self._read_again(turn)
        # They have it, and it them: left so, only the collector of garbage would end them.
        turn.pending = []
        if turn.ready:
            tell_in_lots({then: ready.who for then, ready in turn.ready.items()}, turn.found)

    def _read_again(self, turn: Turn) -> None:
        """Those who asked for what was written before the turn was over; once, whatever is written from now on."""
        written = turn.take_written()
        asked = [pending for pending in turn.pending if pending.left] + turn.held
        for then, ready in turn.ready.items():
            asked += [Pending(who, then, turn, keys) for who, keys in zip(ready.who, ready.keys, strict=True)]
        turn.ready = {}
        for pending in asked:
            again = [key for key in pending.keys if key in written]
            if again:
                self._wait(again, pending)
            elif not pending.left:
                turn.add(pending.who, pending.then, pending.keys)
