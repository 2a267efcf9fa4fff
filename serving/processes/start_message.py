"""The first message to a gateway worker or to the engine: everything it needs to know of its session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from serving.processes.session_plan import ServedModel


@dataclass(frozen=True, slots=True)
class StartMessage:
    """`slot` is the worker's place among `workers` (the engine's is 0); `generation` is unique among the workers.

    `listeners` maps each slot to an inherited file descriptor, and `grpc_listeners` where gRPC is served. State URLs
    are empty with the in-process engine, unless features or rollouts need them.
    `secret` is what gateways and replicas of this session prove to each other; it is told over the channel, so that
    neither the environment nor a command line shows it. `table` is the routing table in force, where versions were
    loaded or unloaded since the session began. `estimates` is what earlier workers learned of run times, as
    `serving.batching.learned` lays it out.
    """

    session: str
    engine: str
    run_dir: str
    state_dir: str
    slot: int = 0
    workers: int = 1
    generation: int = 1
    control_url: str = ""
    features_url: str = ""
    secret: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    values_token: str = field(default="", repr=False)
    http_host: str = "127.0.0.1"
    http_port: int = 0
    grace_s: float = 8.0
    builder: str = ""
    models: tuple[ServedModel, ...] = ()
    listeners: Mapping[int, int] = field(default_factory=dict)
    grpc_listeners: Mapping[int, int] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    table: str = ""
    estimates: tuple[Sequence[Any], ...] = ()

    @property
    def in_flight_file(self) -> Path:
        """Where a worker writes which version runs, for whoever finds it dead."""
        return Path(self.run_dir) / f"gateway-{self.generation}.in-flight"


def to_json(start: StartMessage) -> dict[str, Any]:
    """What `from_json` reads; JSON turns the slots' numbers into text."""
    return {"type": "start", **asdict(start)}


def from_json(message: Mapping[str, Any]) -> StartMessage:
    """The message as the child sees it; keys that this release does not know are left out."""
    known = {name: message[name] for name in StartMessage.__slots__ if name in message}
    known["estimates"] = tuple(message.get("estimates", ()))
    known["models"] = tuple(ServedModel(**served) for served in message["models"])
    for listeners in ("listeners", "grpc_listeners"):
        known[listeners] = {int(slot): fd for slot, fd in message.get(listeners, {}).items()}
    return StartMessage(**known)
