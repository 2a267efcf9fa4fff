"""Who looks rows up: Sluice without and with rows kept near, a service by hand, KServe with Feast, Feast alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.contenders import PROJECT_PYTHON, Contender
from benchmarks.features.shape import Shape
from benchmarks.install import FEAST_PYTHON, KSERVE_PYTHON, PEERS_PYTHON

OFF, WARM = "sluice", "sluice-warm"
ON_FEAST = "sluice-on-feast"
BY_HAND, KSERVE, FEAST = "by-hand", "kserve-feast", "feast"
KEEPS = {OFF: "packed", WARM: "packed", ON_FEAST: "feast", BY_HAND: "hash", KSERVE: "feast", FEAST: "feast"}


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is asked of whom: names of contenders, the shape, and from how many callers."""

    shape: Shape
    names: tuple[str, ...]
    connections: tuple[int, ...]

    def of(self, only: Sequence[str]) -> Comparison:
        """The same of some contenders, or of all."""
        return replace(self, names=tuple(name for name in self.names if not only or name in only))

    @property
    def layouts(self) -> list[str]:
        """What has to be stored."""
        return sorted({KEEPS[name] for name in self.names})


PREDICTIONS = Comparison(Shape(), (OFF, WARM, ON_FEAST, BY_HAND, KSERVE), (1, 64))
# 100 entities of 50 features, the row itself the answer: what a server of features does.
LOOK_UPS = Comparison(
    Shape(views=1, width=50, instances=100, same=True), (OFF, WARM, ON_FEAST, BY_HAND, FEAST), (1, 16)
)


def contender(name: str, engine: str, log_share: float = 0.0) -> Contender:
    """By its name; Sluice with this engine."""
    match name:
        case "sluice":
            return _sluice(name, "Sluice, no near cache", engine, 0, log_share)
        case "sluice-warm":
            return _sluice(name, "Sluice, rows near", engine, 1_024, log_share)
        case "sluice-on-feast":
            return _sluice(name, "Sluice on Feast's hashes, no near cache", engine, 0, log_share)
        case "by-hand":
            return Contender(
                name, "FastAPI + redis-py + onnxruntime by hand", name, "fastapi_views", PEERS_PYTHON, (), ("ids",)
            )
        case "kserve-feast":
            arguments = ("--feast-python", str(FEAST_PYTHON), "--part", "transformer")
            title = "KServe transformer + Feast's server + KServe predictor"
            return Contender(name, title, name, "kserve_feast", KSERVE_PYTHON, arguments, ("ids",), 300)
        case "feast":
            return Contender(name, "Feast's server alone", name, "feast_server", FEAST_PYTHON, (), ("feast",), 300)
        case _:
            raise ValueError(f"no contender {name!r}; known are {', '.join(KEEPS)}")


def _sluice(name: str, title: str, engine: str, near_mb: int, log_share: float) -> Contender:
    arguments = ("--engine", engine, "--near-mb", str(near_mb), "--layout", KEEPS[name], "--log-share", str(log_share))
    asked = ("ids", "tensors") if name == OFF else ("ids",)
    return Contender(name, title, "sluice", "sluice_views", PROJECT_PYTHON, arguments, asked, 120)
