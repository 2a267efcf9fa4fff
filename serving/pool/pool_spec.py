"""What a pool is told to host, in plain values: it travels through Ray, and through the engine's file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from serving.errors import ConfigInvalid
from serving.runtime.source import ModelSource, dump_source, load_source

OPEN_MODEL = "serving.runtime.loaded_model:LoadedModel.open"


@dataclass(frozen=True, slots=True)
class PoolSpec:
    """One Ray Serve deployment.

    `control_url` "" registers nowhere. `socket_dir` is where replicas put their unix sockets; "" listens on a TCP port
    of `host`, and without that of what SLUICE_POOL_HOST says where the replica runs, as nodes have addresses of their
    own. `stream` False neither listens nor registers: batches then come by Ray's handle alone. The secret itself never
    travels: `secret_path` names a file that only we can read, and "" means the variable SLUICE_POOL_SECRET.
    `replicas` run, or up to `most_replicas` where that is more (see `pool/scaling`). `slots` is how many batches a
    replica runs at once (0: as many as it finds to pay, see `slot_search`), `look_us` how long it looks for the next
    one before it sleeps. `open_model` is "module:callable", which turns a `ModelSource` into a loaded model.
    `restarts` is how often its replicas were asked to be replaced, for their own sake. `node_resource` is what the
    nodes of Ray have on which alone they run; "" is any node.
    """

    name: str
    sources: tuple[ModelSource, ...]
    control_url: str = ""
    socket_dir: str = ""
    stream: bool = True
    host: str = ""
    secret_path: str = ""
    replicas: int = 1
    most_replicas: int = 0
    scale_up_delay_s: float = 5.0
    scale_down_delay_s: float = 300.0
    num_cpus: float = 1.0
    memory_mb: int = 0
    slots: int = 1
    look_us: int = 200
    load_threads: int = 2
    grace_s: float = 20.0
    hung_after_s: float = 30.0
    open_model: str = OPEN_MODEL
    environment: Mapping[str, str] = field(default_factory=dict)
    restarts: int = 0
    node_resource: str = ""

    @property
    def scales(self) -> bool:
        """The number of replicas follows the load."""
        return self.most_replicas > self.replicas


def dump(spec: PoolSpec) -> dict[str, Any]:
    """Plain JSON values."""
    document = asdict(spec)
    document["sources"] = [dump_source(source) for source in spec.sources]
    return document


def load(document: Mapping[str, Any]) -> PoolSpec:
    """What `dump` made.

    Raises:
        ConfigInvalid: a key is missing or unknown.
    """
    try:
        values = dict(document)
        values["sources"] = tuple(load_source(entry) for entry in values["sources"])
        return PoolSpec(**values)
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigInvalid(f"no description of a pool: {error!r}") from error


def read_pools(text: str) -> tuple[PoolSpec, ...]:
    """Every pool of an engine's file: `{"pools": [...]}`.

    Raises:
        ConfigInvalid: no such file.
    """
    try:
        return tuple(load(entry) for entry in json.loads(text)["pools"])
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigInvalid(f"no list of pools: {error!r}") from error
