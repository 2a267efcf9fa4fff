"""What gateway workers counted of a rollout: added up in the control Redis, and read from there slice by slice.

`PREFIX:counts:STRATUM` is a hash of numbers, `PREFIX:strata` knows the strata by slice, `PREFIX:seen:*` and
`PREFIX:step:N:seen:*` have the keys whose first event of a kind was counted, in the rollout and in a step.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import redis.asyncio

from serving.errors import Unavailable
from serving.state import keys
from serving.state.connection import UNREACHABLE, connect

if TYPE_CHECKING:
    import redis as blocking

# Differences of a shadow that are kept; what is smaller than all of these is not.
MOST_DIFFERENCES = 20
# Keys that are remembered of each kind of event: from there on those of the trial's sample alone, which a controller
# makes smaller before it has more.
MOST_KEYS = 100_000
# What is left of a rollout that nobody cleared away goes after this time without news.
KEPT_MS = 14 * 86_400_000
CANARY, STABLE = 0, 1
# Runs of a class of size, as `ran.0`; those over a bound, as `slow.3.0`; those with an answer over the goal.
# Older releases counted answers, as `latency.3` and `over_goal`: other names, so that neither reads the other's.
RAN, SLOW, LATE = "ran", "slow", "late_runs"
ROWS = 6
# Rows of a stratum's counts: first events of the rollout, first events of the step, and all events, canary first.
_FIRST, _IN_STEP, EVERY = 0, 2, 4
_ROWS = (_FIRST, _IN_STEP, EVERY)

# One call for all that a worker counted in a second, so that a flush that is sent again, since its answer was lost,
# changes nothing; and one script, so that no two workers count the same key's first event.
_FLUSH = """
local prefix, worker, number, kept = KEYS[1], ARGV[1], tonumber(ARGV[2]), ARGV[3]
local flushed = prefix .. ':flushed'
if number <= tonumber(redis.call('HGET', flushed, worker) or '0') then
  return 0
end
redis.call('HSET', flushed, worker, number)
redis.call('PEXPIRE', flushed, kept)
local closed = tonumber(redis.call('GET', prefix .. ':closed') or '-1')
local function add(key, field, count)
  redis.call('HINCRBY', key, field, count)
end
local function first(set, key)
  local new = redis.call('SADD', set, key) == 1
  if new then
    redis.call('PEXPIRE', set, kept)
  end
  return new
end
local sizes = {}
local function room(set)
  sizes[set] = sizes[set] or redis.call('SCARD', set)
  return sizes[set] < tonumber(ARGV[6])
end
for _, part in ipairs(cjson.decode(ARGV[4])) do
  local counts = prefix .. ':counts:' .. part.stratum
  local late = part.slice <= closed
  if late then
    counts = prefix .. ':late'
  end
  for field, count in pairs(part.counts) do
    add(counts, field, count)
  end
  for _, entry in ipairs(part.firsts) do
    local seen, event, key, sampled = entry[1], entry[2], entry[3], entry[4]
    local in_step = sampled and first(prefix .. ':step:' .. part.step .. ':seen:' .. seen, key)
    if seen == 'keys' then
      if in_step then
        add(counts, 'keys|' .. part.arm, 1)
      end
    else
      if in_step then
        add(counts, (2 + part.arm) .. '|' .. event, 1)
      end
      local set = prefix .. ':seen:' .. seen
      if not entry[5] and (sampled or room(set)) and first(set, key) then
        add(counts, part.arm .. '|' .. event, 1)
      end
    end
  end
  redis.call('PEXPIRE', counts, kept)
  if not late then
    redis.call('ZADD', prefix .. ':strata', part.slice, part.stratum)
    redis.call('PEXPIRE', prefix .. ':strata', kept)
  end
  for _, entry in ipairs(part.differences) do
    redis.call('ZADD', prefix .. ':differences', entry[1], entry[2])
    redis.call('ZREMRANGEBYRANK', prefix .. ':differences', 0, -tonumber(ARGV[5]) - 1)
    redis.call('PEXPIRE', prefix .. ':differences', kept)
  end
  if part.crashes > 0 then
    add(prefix .. ':incidents', 'crashes|' .. part.arm, part.crashes)
    redis.call('PEXPIRE', prefix .. ':incidents', kept)
  end
  if part.faults > 0 then
    add(prefix .. ':incidents', 'faults|' .. part.arm, part.faults)
    redis.call('PEXPIRE', prefix .. ':incidents', kept)
  end
end
return 1
"""


class StratumName(NamedTuple):
    """In the order in which strata are judged: a slice of time, the table that was in force, its step and weight."""

    slice: int
    generation: int
    step: int
    weight_bp: int

    def __str__(self) -> str:
        return ".".join(map(str, self))

    @classmethod
    def parse(cls, text: str) -> StratumName:
        """What `str` made."""
        return cls(*map(int, text.split(".")))


@dataclass(frozen=True, slots=True)
class ArmCounts:
    """What a worker saw of one arm in one stratum.

    `events` counts by name. `firsts` has a `(seen, event, key, sampled, step_only)` for what counts once a key: as
    `event`, unless the key is among those `seen` already; in the step, only if it is of the trial's sample, and nowhere
    else if it is `step_only`. Without keys (`sticky` false) every event is a first one. `runs` has the counts of each
    kind of row, since not all of them are evidence. `differences` are the largest of a shadow's answers from the stable
    version's, each with its size and as text. `crashes` are batches that replicas took along, `faults` whole workers.
    """

    stratum: StratumName
    arm: int
    sticky: bool
    requests: int
    events: Mapping[str, int]
    firsts: Sequence[tuple[str, str, int, bool, bool]] = ()
    crashes: int = 0
    differences: Sequence[tuple[float, str]] = ()
    faults: int = 0
    runs: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """As the script takes it."""
        counts = {
            f"{row + self.arm}|{event}": count
            for event, count in self.events.items()
            for row in ((EVERY,) if self.sticky else _ROWS)
        }
        counts |= {
            f"{row + self.arm}|{event}": count
            for event, of_rows in self.runs.items()
            for row, count in zip(_ROWS, of_rows, strict=True)
        }
        counts[f"requests|{self.arm}"] = self.requests
        if not self.sticky:
            counts[f"keys|{self.arm}"] = self.requests
        return {
            "stratum": str(self.stratum),
            "slice": self.stratum.slice,
            "step": self.stratum.step,
            "arm": self.arm,
            "counts": {field: count for field, count in counts.items() if count},
            "firsts": [
                (seen, event, f"{key:016x}", sampled, step_only) for seen, event, key, sampled, step_only in self.firsts
            ],
            "crashes": self.crashes,
            "faults": self.faults,
            "differences": self.differences,
        }


class CountsWriter:
    """A worker's way to add what it saw; `worker` is a name that no other one has, also after a restart."""

    def __init__(self, url: str, worker: str) -> None:
        self._client: redis.asyncio.Redis = connect(url)
        self._worker = worker

    async def add(self, rollout_id: str, number: int, parts: Sequence[ArmCounts]) -> bool:
        """Add the counts of flush `number`, which grow; False where that flush was there already.

        Raises:
            Unavailable: the server did not answer in time; it may have counted them: send the same again.
        """
        # Never empty lists: to the script's JSON they would be empty mappings, which does no harm to its loops.
        text = json.dumps([part.as_json() for part in parts], separators=(",", ":"))
        try:
            prefix, most = keys.rollout(rollout_id), (MOST_DIFFERENCES, MOST_KEYS)
            return bool(await self._client.eval(_FLUSH, 1, prefix, self._worker, number, KEPT_MS, text, *most))
        except UNREACHABLE as error:
            raise Unavailable(f"the control Redis did not take the counts: {error}") from error

    async def stop(self) -> None:
        """End the connection."""
        await self._client.aclose()


class RolloutCounts:
    """A controller's view of one rollout's counts, over a blocking client. Raises what redis-py does."""

    def __init__(self, client: blocking.Redis, rollout_id: str) -> None:
        self._client = client
        self._prefix = keys.rollout(rollout_id)
        self._closed = keys.closed(rollout_id)

    def read(self, after: int | None = None) -> dict[StratumName, dict[str, int]]:
        """Counts of all strata after a slice, or that are not closed yet.

        They are by `row|event`, `requests|arm` and `keys|arm`.
        """
        if after is None:
            after = int(cast("bytes | None", self._client.get(self._closed)) or -1)
        names = cast("list[bytes]", self._client.zrangebyscore(f"{self._prefix}:strata", f"({after}", "+inf"))
        with self._client.pipeline(transaction=False) as steps:
            for name in names:
                steps.hgetall(f"{self._prefix}:counts:{name.decode()}")
            found = steps.execute()
        strata = [StratumName.parse(name.decode()) for name in names]
        return {stratum: _numbers(fields) for stratum, fields in sorted(zip(strata, found, strict=True))}

    def late(self) -> int:
        """Requests that were told of too late to be judged."""
        fields = _numbers(cast("dict[bytes, bytes]", self._client.hgetall(f"{self._prefix}:late")))
        return fields.get(f"requests|{CANARY}", 0) + fields.get(f"requests|{STABLE}", 0)

    def crashes(self, arm: int) -> int:
        """Batches that replicas of an arm's version took with them."""
        return int(cast("bytes | None", self._client.hget(f"{self._prefix}:incidents", f"crashes|{arm}")) or 0)

    def faults(self, arm: int) -> int:
        """Gateway workers that died in a run of an arm's version."""
        return int(cast("bytes | None", self._client.hget(f"{self._prefix}:incidents", f"faults|{arm}")) or 0)

    def keys(self) -> int:
        """Keys of the sample that were seen so far: by the split, or by copies where there is none."""
        return max(int(self._client.scard(f"{self._prefix}:seen:{what}")) for what in ("split", "copies"))

    def forget_step(self, step: int) -> None:
        """Which keys were counted in a step that is over: most of what a rollout holds."""
        for key in self._client.scan_iter(f"{_literal(self._prefix)}:step:{step}:seen:*", count=500):
            self._client.unlink(key)

    def differences(self) -> list[str]:
        """The largest differences of a shadow's answers, the largest first, as text."""
        found = cast("list[bytes]", self._client.zrevrange(f"{self._prefix}:differences", 0, -1))
        return [text.decode() for text in found]

    def clear(self) -> None:
        """Remove everything, some hundred keys at a time."""
        for key in self._client.scan_iter(f"{_literal(self._prefix)}:*", count=500):
            self._client.unlink(key)


def _numbers(fields: Mapping[bytes, bytes]) -> dict[str, int]:
    return {field.decode(): int(count) for field, count in fields.items()}


def _literal(prefix: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[]" else letter for letter in prefix)
