"""What the scaling policies in Serve's controller decided last, read where they note it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection

from serving.pool.scaling_policy import NAMESPACE, scaling_key

Tell = Callable[..., None]
Read = Callable[[str], bytes | None]


def _noted(key: str) -> bytes | None:
    from ray.experimental.internal_kv import _internal_kv_get  # noqa: PLC0415 - where nobody asks, ray is not needed

    found: bytes | None = _internal_kv_get(key, namespace=NAMESPACE)
    return found


class ScalingNotes:
    """Tells of each decision once; `wished` is how many replicas a pool should have, where they follow the load."""

    def __init__(self, tell: Tell, read: Read = _noted) -> None:
        self._tell = tell
        self._read = read
        self._told: dict[str, str] = {}
        self.wished: dict[str, int] = {}

    def look(self, pools: Collection[str]) -> None:
        """Read what was decided about these pools since the last look."""
        wished: dict[str, int] = {}
        for pool in pools:
            noted = self._read(scaling_key(pool))
            if noted is not None:
                decided = json.loads(noted)
                wished[pool] = decided["wished"]
                self._say(pool, decided["text"])
        self.wished = wished

    def _say(self, pool: str, text: str) -> None:
        if text and self._told.get(pool) != text:
            self._tell("scaled", text=text)
        self._told[pool] = text
