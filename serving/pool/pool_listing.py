"""The ingress where pools are one Ray Serve application: tells over HTTP what they host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray import serve

from serving.wire.catalogue import decode_catalogue
from serving.wire.frame import DEFAULT_FRAME_BYTES
from serving.wire.frame_reader import FrameReader


class PoolListing:
    """Predictions go through a gateway; this only lets people and probes see that the pools are up."""

    def __init__(self, pools: Mapping[str, Any]) -> None:
        self._pools = pools

    async def __call__(self, _request: object) -> dict[str, Any]:
        """Hosted and refused versions by pool."""
        return {name: _told(await handle.catalogue.remote()) for name, handle in self._pools.items()}


def listing(pools: Mapping[str, serve.Application]) -> serve.Application:
    """One application of all these pools."""
    return serve.deployment(name="pools", ray_actor_options={"num_cpus": 0})(PoolListing).bind(dict(pools))


def _told(frame: bytes) -> dict[str, Any]:
    (only,) = FrameReader(DEFAULT_FRAME_BYTES).feed(frame)
    catalogue = decode_catalogue(only)
    return {
        "hosted": [str(hosted.key) for hosted in catalogue.slots.values()],
        "refused": {str(key): why for key, why in catalogue.refused.items()},
    }
