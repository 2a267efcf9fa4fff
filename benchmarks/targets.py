"""What the Ray pool is held to, each as a ratio to a peer's best in the same round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.summary import Cell, Key, Spread, best_by_round, by_round, ratio

OURS = "sluice-ray"


@dataclass(frozen=True, slots=True)
class Target:
    """`figure` is "per_second" (at least `bound` times the peer's) or "p50_us" (at most).

    Without a workload of its own, what the whole judgement is about; `peers_workload` is what peers were asked for.
    """

    text: str
    peers: tuple[str, ...]
    connections: int
    figure: str
    bound: float
    ours: str = OURS
    workload: str = ""
    peers_workload: str = ""

    def met(self, measured: Spread) -> bool:
        """By the median of the rounds."""
        return measured.median >= self.bound if self.figure == "per_second" else measured.median <= self.bound


IN_PROCESS = "sluice-in-process"
RAY_SERVE = ("ray-serve", "ray-serve-fastest", "ray-serve-inline")
MOSEC = ("mosec-0", "mosec-1")
ENTITIES = "sluice-entities"
_BY_ENTITY = (ENTITIES, "entities")
_NEAR = ("sluice-entities-warm", "entities")
_BY_HAND = ("fastapi-redis",)
_LARGEST = ("copy-16M", "copy-16M")
TARGETS = (
    Target("throughput, to the better mosec", MOSEC, 64, "per_second", 2.0),
    Target("throughput, to the better mosec", MOSEC, 256, "per_second", 2.0),
    Target("throughput, to the bare handler", ("bare",), 64, "per_second", 1.0),
    Target("throughput, to nginx with a static answer", ("nginx",), 64, "per_second", 0.5),
    Target("throughput, to FastAPI", ("fastapi",), 64, "per_second", 8.0),
    Target("throughput, to the best Ray Serve", RAY_SERVE, 64, "per_second", 12.0),
    Target("throughput, to PyTriton", ("pytriton-64",), 64, "per_second", 12.0),
    Target("p50 of one caller, to mosec without wait", ("mosec-0",), 1, "p50_us", 0.12),
    Target("p50 of one caller, to the best Ray Serve", RAY_SERVE, 1, "p50_us", 0.5),
    Target("p50 of one caller, to the bare handler", ("bare",), 1, "p50_us", 1.7),
    Target("in-process: p50 of one caller, to the bare handler", ("bare",), 1, "p50_us", 1.25, IN_PROCESS),
    Target("200 trees: throughput, to the better mosec", MOSEC, 64, "per_second", 1.8, OURS, "gbdt", "gbdt"),
    Target("two gateway workers: throughput, to one", (OURS,), 64, "per_second", 1.0, "sluice-ray-2"),
    Target(
        "in-process, two gateway workers: throughput, to one",
        (IN_PROCESS,),
        64,
        "per_second",
        1.0,
        "sluice-in-process-2",
    ),
    Target("by entity: throughput, to finished rows", (ENTITIES,), 64, "per_second", 0.5, *_BY_ENTITY, "mlp"),
    Target("by entity: throughput, to FastAPI and redis-py", _BY_HAND, 64, "per_second", 12.0, *_BY_ENTITY, "entities"),
    Target(
        "by entity: p50 of one caller, to FastAPI and redis-py", _BY_HAND, 1, "p50_us", 0.6, *_BY_ENTITY, "entities"
    ),
    Target("by entity, rows near: throughput, to finished rows", (ENTITIES,), 64, "per_second", 0.8, *_NEAR, "mlp"),
    Target("by entity, rows near: p50 of one caller, to finished rows", (ENTITIES,), 1, "p50_us", 1.4, *_NEAR, "mlp"),
    Target(
        "binary: throughput, to the bare handler", ("bare-binary",), 64, "per_second", 0.7, OURS, "binary", "binary"
    ),
    Target("gRPC: throughput, to a bare grpc.aio echo", ("grpc-echo",), 64, "per_second", 0.7, OURS, "grpc", "grpc"),
    Target("gRPC: throughput, to KServe", ("kserve",), 64, "per_second", 1.0, OURS, "grpc", "grpc"),
    Target(
        "gRPC: throughput, to MLServer",
        ("mlserver-64", "mlserver-unbatched"),
        64,
        "per_second",
        2.0,
        OURS,
        "grpc",
        "grpc",
    ),
    Target("throughput, to the first data plane", ("sluice-ray-earlier",), 64, "per_second", 1.0),
    Target("p50 of one caller, to the first data plane", ("sluice-ray-earlier",), 1, "p50_us", 1.0),
    Target("16 MB binary: p50 of one caller, to a plain copy", ("plain-copy",), 1, "p50_us", 3.0, OURS, *_LARGEST),
)


def judge(cells: Sequence[Cell], workload: str = "mlp") -> list[dict[str, Any]]:
    """Each target with the `Spread` that was measured; that and `met` are None where a side was not measured."""
    return [_judged(target, cells, workload) for target in TARGETS]


def _judged(target: Target, cells: Sequence[Cell], workload: str) -> dict[str, Any]:
    ours = by_round(cells, Key(target.ours, target.workload or workload, target.connections), target.figure)
    asked = target.peers_workload or workload
    peers = [by_round(cells, Key(peer, asked, target.connections), target.figure) for peer in target.peers]
    best = max if target.figure == "per_second" else min
    measured = ratio(ours, best_by_round(peers, ours, best))
    return {
        "text": target.text,
        "peers": target.peers,
        "workload": target.workload or workload,
        "connections": target.connections,
        "bound": target.bound,
        "at_least": target.figure == "per_second",
        "measured": measured,
        "met": target.met(measured) if measured else None,
    }
