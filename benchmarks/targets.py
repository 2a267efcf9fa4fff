"""What the Ray pool is held to, each as a ratio to a peer's best in the same round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.summary import Cell, Key, Spread, best_by_round, by_round, ratio

OURS = "sluice-ray"


@dataclass(frozen=True, slots=True)
class Target:
    """`figure` is "per_second" (at least `bound` times the peer's) or "p50_us" (at most)."""

    text: str
    peers: tuple[str, ...]
    connections: int
    figure: str
    bound: float

    def met(self, measured: Spread) -> bool:
        """By the median of the rounds."""
        return measured.median >= self.bound if self.figure == "per_second" else measured.median <= self.bound


RAY_SERVE = ("ray-serve", "ray-serve-fastest", "ray-serve-inline")
TARGETS = (
    Target("throughput, to the better mosec", ("mosec-0", "mosec-1", "mosec-unbatched"), 64, "per_second", 1.5),
    Target("throughput, to the bare handler", ("bare",), 64, "per_second", 0.8),
    Target("throughput, to FastAPI", ("fastapi",), 64, "per_second", 8.0),
    Target("throughput, to the best Ray Serve", RAY_SERVE, 64, "per_second", 10.0),
    Target("p50 of one caller, to mosec without wait", ("mosec-0",), 1, "p50_us", 0.2),
    Target("p50 of one caller, to the best Ray Serve", RAY_SERVE, 1, "p50_us", 0.5),
    Target("p50 of one caller, to the bare handler", ("bare",), 1, "p50_us", 2.0),
)


def judge(cells: Sequence[Cell], workload: str = "mlp") -> list[dict[str, Any]]:
    """Each target with what was measured; `met` is None where a side was not measured."""
    return [_judged(target, cells, workload) for target in TARGETS]


def _judged(target: Target, cells: Sequence[Cell], workload: str) -> dict[str, Any]:
    ours = by_round(cells, Key(OURS, workload, target.connections), target.figure)
    peers = [Key(peer, workload, target.connections) for peer in target.peers]
    best = max if target.figure == "per_second" else min
    measured = ratio(ours, best_by_round(cells, peers, target.figure, best))
    return {
        "text": target.text,
        "connections": target.connections,
        "bound": target.bound,
        "at_least": target.figure == "per_second",
        "measured": measured.median if measured else None,
        "least": measured.least if measured else None,
        "most": measured.most if measured else None,
        "met": target.met(measured) if measured else None,
    }
