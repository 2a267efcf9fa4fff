"""How ONNX Runtime is to run one version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

GraphOptimisation = Literal["off", "basic", "extended", "all"]


@dataclass(frozen=True, slots=True)
class RuntimeOptions:
    """Settings of one session; the defaults suit small models of which a process hosts many.

    One thread per run and no spinning: small models finish before a thread pool has woken up, and a spinning thread of
    one model takes the processor from all others. `custom_op_libraries` are paths of shared libraries, relative to the
    model's folder and inside it, registered before the graph is read. Runs are on the CPU provider alone, so that a
    version answers the same wherever it is hosted.
    """

    intra_op_threads: int = 1
    inter_op_threads: int = 1
    spinning: bool = False
    graph_optimisation: GraphOptimisation = "all"
    custom_op_libraries: tuple[str, ...] = ()

    @property
    def starts_threads(self) -> bool:
        """Opening a session may start threads that serve it later, and have the priority of the one that opens it."""
        return self.intra_op_threads != 1 or self.inter_op_threads != 1 or bool(self.custom_op_libraries)


DEFAULTS = RuntimeOptions()
