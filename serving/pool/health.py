"""Whether a replica can still run a model: asked by really running one."""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping
from math import prod

from serving.errors import ModelFailed, NotReady, ServingError
from serving.inference import ELEMENT_SIZE, Hosted, Tensor, TensorSpec, VersionKey
from serving.pool.model_host import ModelHost
from serving.runtime.onnx_session import Interrupt


class Health:
    """Runs the cheapest version that bears a row of zeros; `patience_s` bounds that run."""

    def __init__(self, host: ModelHost, patience_s: float = 5.0, hung_after_s: float = 30.0) -> None:
        self._host = host
        self._patience_s = patience_s
        self._hung_after_s = hung_after_s
        self._unfit: frozenset[VersionKey] = frozenset()

    def check(self) -> None:
        """Return when the replica is well.

        Raises:
            NotReady: a run hangs, or the one that was tried did not end in time.
        """
        hung = self._host.hung(self._hung_after_s)
        if hung:
            raise NotReady(f"a run of {hung[0]} has not ended for {self._hung_after_s:.0f} s")
        probe = self._probe()
        if probe is not None:
            self._run(probe)

    def _probe(self) -> Hosted | None:
        # A version's own time was measured at warm-up; one that refuses zeros says nothing about the replica.
        fit: Mapping[VersionKey, Hosted] = {
            key: hosted for key, hosted in self._host.catalogue().items() if key not in self._unfit
        }
        return min(fit.values(), key=lambda hosted: hosted.run_s, default=None)

    def _run(self, hosted: Hosted) -> None:
        inputs = tuple(_zeros(spec) for spec in hosted.signature.inputs)
        ended: queue.SimpleQueue[ServingError | None] = queue.SimpleQueue()
        interrupt = Interrupt()

        def attempt() -> None:
            try:
                self._host.run(hosted.key, inputs, 0, interrupt)
            except ServingError as error:
                ended.put(error)
            else:
                ended.put(None)

        threading.Thread(target=attempt, name="health", daemon=True).start()
        try:
            error = ended.get(timeout=self._patience_s)
        except queue.Empty:
            interrupt.fire()
            raise NotReady(f"a row of {hosted.key} did not come back within {self._patience_s:.0f} s") from None
        if isinstance(error, ModelFailed):
            self._unfit |= {hosted.key}


def _zeros(spec: TensorSpec) -> Tensor:
    shape = tuple(max(size, 1) for size in spec.shape)
    # An element of BYTES is its length, 0, and nothing.
    size = ELEMENT_SIZE[spec.datatype] or 4
    return Tensor(spec.name, spec.datatype, shape, bytes(size * prod(shape)))
