"""Work that would hold the loop, done in slices: a little in each turn, so that others are answered in between."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Generator
from typing import NamedTuple

from serving.errors import ModelFailed, ServingError

log = logging.getLogger(__name__)

# How long one turn works. A step may begin just before that is over, so steps are kept below two milliseconds.
_TURN_S = 0.002


class _Job(NamedTuple):
    steps: Generator[None, None, Callable[[], None]]
    failed: Callable[[ServingError], None]
    gone: Callable[[], bool]


class Turns:
    """The jobs of one worker: each gets a step in its turn, so a large one holds up a small one by one step."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._jobs: deque[_Job] = deque()
        self._armed = False

    def add(
        self,
        steps: Generator[None, None, Callable[[], None]],
        failed: Callable[[ServingError], None],
        gone: Callable[[], bool],
    ) -> None:
        """Take `steps` in later turns; what they return is called at their end, `failed` with what they raise.

        A job that is `gone` is dropped before its next step, and neither is called. Both may be called, `failed` after
        the other one, where that raises.
        """
        self._jobs.append(_Job(steps, failed, gone))
        # What a job ends with may add another one, in the middle of a turn.
        if not self._armed:
            self._armed = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        ends = self._clock() + _TURN_S
        try:
            while self._jobs:
                self._step(self._jobs[0])
                if self._clock() >= ends:
                    break
        finally:
            # Also where one could not even be told that it failed: nobody else begins the next turn.
            self._armed = bool(self._jobs)
            if self._armed:
                asyncio.get_running_loop().call_soon(self._turn)

    def _step(self, job: _Job) -> None:
        """One step of the first job, which goes to the end if it has more of them."""
        try:
            if job.gone():
                job.steps.close()
                self._jobs.popleft()
                return
            next(job.steps)
        except StopIteration as ended:
            self._jobs.popleft()
            _end(job, ended.value)
        except Exception as error:  # noqa: BLE001 - raised on, it would strand those that wait behind it
            self._jobs.popleft()
            _fail(job, error)
        else:
            self._jobs.rotate(-1)


def _end(job: _Job, done: Callable[[], None]) -> None:
    try:
        done()
    except Exception as error:  # noqa: BLE001 - as above: it costs this request alone
        _fail(job, error)


def _fail(job: _Job, error: Exception) -> None:
    if not isinstance(error, ServingError):
        log.error("a large request could not be worked on", exc_info=error)
        error = ModelFailed("the gateway failed on this request; its log says why")
    job.failed(error)
