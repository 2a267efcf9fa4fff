"""Hosts many versions in one process: loads them side by side, keeps why one was refused, runs their batches."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from serving.errors import NotReady, ServingError
from serving.inference import Hosted, Stacked, Tensor, VersionKey
from serving.pool.slot_search import slots_worth
from serving.runtime import low_priority
from serving.runtime.onnx_session import Interrupt
from serving.runtime.source import ModelSource

log = logging.getLogger(__name__)


class Loaded(Protocol):
    """A version that is loaded and warm."""

    hosted: Hosted

    def run(
        self, inputs: Sequence[Stacked | Tensor], rows: int, interrupt: Interrupt | None = None
    ) -> tuple[Tensor, ...]:
        """See `LoadedModel.run`."""

    def speed(self, threads: int) -> float:
        """See `LoadedModel.speed`."""


OpenModel = Callable[[ModelSource], Loaded]


class ModelHost:
    """The tensor stream's `Host`: what is hosted is swapped whole, so that the threads that run need no lock."""

    def __init__(self, open_model: OpenModel, clock: Callable[[], float] = time.monotonic) -> None:
        self._open = open_model
        self._clock = clock
        self._loaded: Mapping[VersionKey, Loaded] = {}
        self._catalogue: Mapping[VersionKey, Hosted] = {}
        self._refused: Mapping[VersionKey, str] = {}
        self._changing = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []
        self._running: dict[int, tuple[VersionKey, float]] = {}
        self._settled = False

    def load(self, sources: Iterable[ModelSource], threads: int = 2) -> None:
        """Load these versions beside those that are there; returns when each is warm, or refused with a text."""
        load = self._load_beside if self._loaded else self._load_one
        # A thread that has yielded once does so for good: those that may not are all taken before any that does.
        in_order = sorted(sources, key=lambda source: not source.options.starts_threads)
        with ThreadPoolExecutor(threads, thread_name_prefix="load") as loaders:
            for _ in loaders.map(load, in_order):
                pass
        self._settled = True
        self._tell()

    def slots_worth(self, most: int) -> int:
        """How many runs at once pay, up to `most`, by the version whose run takes longest; 1 where nothing can run."""
        slowest = max(self._loaded.values(), key=lambda model: model.hosted.run_s, default=None)
        return 1 if slowest is None or most == 1 else slots_worth(slowest.speed, most)

    def unload(self, key: VersionKey) -> None:
        """Take no new batch for it; those that run end first, since they hold it."""
        with self._changing:
            self._put({held: model for held, model in self._loaded.items() if held != key})
            self._refused = {held: text for held, text in self._refused.items() if held != key}
        self._tell()

    def catalogue(self) -> Mapping[VersionKey, Hosted]:
        """What can run now."""
        return self._catalogue

    def refused(self) -> Mapping[VersionKey, str]:
        """Why the others cannot: which file, what is wrong with it and what to do."""
        return self._refused

    def settled(self) -> bool:
        """Every version it was told to host is loaded or refused."""
        return self._settled

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call `callback` whenever one of the answers above may differ; on the thread that loaded."""
        self._callbacks.append(callback)

    def run(
        self, key: VersionKey, inputs: Sequence[Stacked | Tensor], rows: int, interrupt: Interrupt | None = None
    ) -> tuple[Tensor, ...]:
        """Outputs in the signature's order; on the caller's thread, without the GIL while the model computes.

        Raises:
            NotReady: the version is not hosted here.
            ModelFailed: the model raised, or answered with other rows than it was given.
        """
        model = self._loaded.get(key)
        if model is None:
            raise NotReady(f"this replica does not host {key}: {self._refused.get(key, 'it was never told to')}")
        thread = threading.get_ident()
        self._running[thread] = (key, self._clock())
        try:
            return model.run(inputs, rows, interrupt)
        finally:
            del self._running[thread]

    def hung(self, longer_than_s: float) -> tuple[VersionKey, ...]:
        """Versions with a run that has not ended for so long."""
        begun_before = self._clock() - longer_than_s
        return tuple(key for key, begun in list(self._running.values()) if begun < begun_before)

    def _load_beside(self, source: ModelSource) -> None:
        if not source.options.starts_threads:
            low_priority.take()
        self._load_one(source)

    def _load_one(self, source: ModelSource) -> None:
        loaded, refusal = self._opened(source)
        with self._changing:
            if loaded is not None:
                self._put({**self._loaded, source.key: loaded})
                self._refused = {key: text for key, text in self._refused.items() if key != source.key}
            else:
                # A version that ran before goes on in its earlier form: a failed reload takes nothing away.
                self._refused = {**self._refused, source.key: refusal}
        self._tell()

    def _opened(self, source: ModelSource) -> tuple[Loaded | None, str]:
        try:
            return self._open(source), ""
        except ServingError as error:
            refusal = error.message
        except Exception as error:
            # One version's surprise must not keep the others from being served.
            log.exception("version %s could not be loaded", source.key)
            refusal = f"{source.path}: {type(error).__name__}: {error}"
        log.warning("version %s is not served: %s", source.key, refusal)
        return None, refusal

    def _put(self, loaded: Mapping[VersionKey, Loaded]) -> None:
        self._loaded = loaded
        self._catalogue = {key: model.hosted for key, model in loaded.items()}

    def _tell(self) -> None:
        for callback in self._callbacks:
            callback()
