"""Rollouts in the control Redis: their documents, who may write them, and the list of what was done.

Controllers have numbers that grow with each one that takes over; whatever one of them writes is refused once a later
one has begun, so that one that was stopped for a while cannot undo what happened meanwhile.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from serving.errors import InUse, Unavailable
from serving.state import keys
from serving.state.connection import UNREACHABLE, connect_blocking
from serving.state.rollout_counts import KEPT_MS, RolloutCounts, StratumName

if TYPE_CHECKING:
    import redis

# Renewed with every look, once a second.
LEASE_MS = 5_000
# Ended rollouts that are kept; the oldest go first.
_MOST_KEPT = 200

# The first number is the server's time in microseconds: were it 1 again once a server came back empty, sessions, which
# know a higher one, would refuse everything.
_ACQUIRE = """
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if held then
  return tonumber(redis.call('GET', KEYS[2]))
end
if redis.call('EXISTS', KEYS[2]) == 0 then
  local now = redis.call('TIME')
  redis.call('SET', KEYS[2], string.format('%.0f', now[1] * 1000000 + now[2]))
end
return redis.call('INCR', KEYS[2])
"""

# Document and audit entry together, so that nothing is done that is not told.
_SAVE = """
if tonumber(ARGV[1]) ~= tonumber(redis.call('GET', KEYS[1]) or '0') then
  return 0
end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
if ARGV[4] == '1' then
  redis.call('SADD', KEYS[3], ARGV[2])
else
  redis.call('SREM', KEYS[3], ARGV[2])
end
if ARGV[5] ~= '' then
  redis.call('RPUSH', KEYS[4], ARGV[5])
  redis.call('PEXPIRE', KEYS[4], ARGV[6])
end
return 1
"""

# A slice that was closed stays closed, whatever anybody's clock says: what is folded already must take no more.
_CLOSE = """
if tonumber(ARGV[1]) ~= tonumber(redis.call('GET', KEYS[1]) or '0') then
  return 0
end
if tonumber(ARGV[2]) > tonumber(redis.call('GET', KEYS[2]) or '-1') then
  redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
end
return 1
"""

_FREEZE = """
if tonumber(ARGV[1]) ~= tonumber(redis.call('GET', KEYS[1]) or '0') then
  return 0
end
if ARGV[2] == '1' then
  redis.call('SET', KEYS[2], '1')
else
  redis.call('DEL', KEYS[2])
end
return 1
"""


class RolloutStore:
    """Blocking: for a thread. Every method raises Unavailable where the server does not answer within a second."""

    def __init__(self, url: str) -> None:
        self._client: redis.Redis = connect_blocking(url)

    def acquire(self, holder: str) -> int:
        """The caller's number while it is the one who judges, renewed by this; 0 while another one is."""
        with _answering():
            return int(self._eval(_ACQUIRE, (keys.CONTROLLER, keys.CONTROLLER_NUMBER), holder, LEASE_MS))

    def save(self, number: int, document: Mapping[str, Any], *, live: bool, entry: Mapping[str, Any] | None) -> None:
        """Keep a rollout's document, and what was done.

        Raises:
            InUse: a later controller has begun.
        """
        rollout_id = str(document["id"])
        names = (keys.CONTROLLER_NUMBER, keys.ROLLOUTS, keys.LIVE_ROLLOUTS, keys.audit(rollout_id))
        told = "" if entry is None else _text(entry)
        with _answering():
            self._fenced(_SAVE, names, number, rollout_id, _text(document), int(live), told, KEPT_MS)

    def freeze(self, number: int, *, frozen: bool) -> None:
        """Keep whether nothing may change.

        Raises:
            InUse: a later controller has begun.
        """
        with _answering():
            self._fenced(_FREEZE, (keys.CONTROLLER_NUMBER, keys.FROZEN), number, int(frozen))

    def frozen(self) -> bool:
        """Whether nothing may change."""
        with _answering():
            return bool(self._client.exists(keys.FROZEN))

    def live(self) -> list[dict[str, Any]]:
        """Rollouts that are not over, or whose end is not in force yet."""
        with _answering():
            names = sorted(cast("set[bytes]", self._client.smembers(keys.LIVE_ROLLOUTS)))
            found = cast("list[bytes | None]", self._client.hmget(keys.ROLLOUTS, names)) if names else []
        return [json.loads(text) for text in found if text is not None]

    def all(self) -> list[dict[str, Any]]:
        """Every rollout that is known."""
        with _answering():
            found = cast("dict[bytes, bytes]", self._client.hgetall(keys.ROLLOUTS))
        return [json.loads(text) for text in found.values()]

    def get(self, rollout_id: str) -> dict[str, Any] | None:
        """One rollout."""
        with _answering():
            text = cast("bytes | None", self._client.hget(keys.ROLLOUTS, rollout_id))
        return None if text is None else json.loads(text)

    def audit(self, rollout_id: str) -> list[dict[str, Any]]:
        """What was done in it, the oldest first."""
        with _answering():
            found = cast("list[bytes]", self._client.lrange(keys.audit(rollout_id), 0, -1))
        return [json.loads(text) for text in found]

    def drop_oldest(self) -> None:
        """Forget ended rollouts beyond those that are kept, and of all that ended which keys were counted."""
        with _answering():
            live = {name.decode() for name in cast("set[bytes]", self._client.smembers(keys.LIVE_ROLLOUTS))}
            self._forget_keys(live)
            over = sorted((one["started_s"], one["id"]) for one in self.all() if one["id"] not in live)
            for _, rollout_id in over[:-_MOST_KEPT]:
                self._client.hdel(keys.ROLLOUTS, rollout_id)

    def counts(self, rollout_id: str, after: int) -> dict[StratumName, dict[str, int]]:
        """What workers counted in the slices after this one."""
        with _answering():
            return RolloutCounts(self._client, rollout_id).read(after)

    def close(self, number: int, rollout_id: str, through: int) -> None:
        """Slices up to this one take no more.

        Raises:
            InUse: a later controller has begun.
        """
        with _answering():
            self._fenced(_CLOSE, (keys.CONTROLLER_NUMBER, keys.closed(rollout_id)), number, through, KEPT_MS)

    def crashes(self, rollout_id: str) -> tuple[int, int]:
        """Batches that replicas took with them: of the canary, of the stable version."""
        with _answering():
            counts = RolloutCounts(self._client, rollout_id)
            return counts.crashes(0), counts.crashes(1)

    def faults(self, rollout_id: str) -> tuple[int, int]:
        """Gateway workers that died in a run: of the canary, of the stable version."""
        with _answering():
            counts = RolloutCounts(self._client, rollout_id)
            return counts.faults(0), counts.faults(1)

    def keys(self, rollout_id: str) -> int:
        """How many keys of its sample were seen so far."""
        with _answering():
            return RolloutCounts(self._client, rollout_id).keys()

    def forget_step(self, rollout_id: str, step: int) -> None:
        """Which keys were counted in a step that is over."""
        with _answering():
            RolloutCounts(self._client, rollout_id).forget_step(step)

    def differences(self, rollout_id: str) -> list[Any]:
        """The largest differences of a shadow's answers, the largest first."""
        with _answering():
            return [json.loads(text) for text in RolloutCounts(self._client, rollout_id).differences()]

    def late(self, rollout_id: str) -> int:
        """Requests that were told of too late to be judged."""
        with _answering():
            return RolloutCounts(self._client, rollout_id).late()

    def stop(self) -> None:
        """End the connections."""
        self._client.close()

    def _forget_keys(self, live: Collection[str]) -> None:
        """They are most of what a rollout leaves, a name for each of its callers, and nothing is counted any more."""
        for name in self._client.scan_iter(keys.SEEN_KEYS, count=500):
            counted_as = keys.counted_as(name.decode())
            if not any(counted_as.startswith(one) for one in live):
                self._client.unlink(name)

    def _fenced(self, script: str, names: Sequence[str], number: int, *arguments: str | int) -> None:
        if not self._eval(script, names, number, *arguments):
            raise InUse(f"controller {number} of rollouts was replaced by another one; it changes nothing any more")

    def _eval(self, script: str, names: Sequence[str], *arguments: str | int) -> int:
        call = cast("Callable[..., int]", self._client.eval)
        return call(script, len(names), *names, *arguments)


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except UNREACHABLE as error:
        raise Unavailable(f"the control Redis, which keeps rollouts, does not answer: {error}") from error


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"))
