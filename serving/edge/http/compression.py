"""Compressed bodies of one worker: large ones are inflated and deflated in threads, where zlib lets the loop go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol, TypeVar

from serving.edge.ended_tasks import end_all
from serving.edge.http.answers import Refusal, Split, recoded
from serving.edge.http.content_coding import Inflation, deflated
from serving.edge.http.head_refusal import too_large
from serving.edge.http.limits import HttpLimits
from serving.edge.http.request_head import RequestHead
from serving.errors import BadRequest, ModelFailed, ServingError, TooLarge
from serving.inference import Buffer

# This much is inflated at once, on the loop: most bodies are smaller, and it takes 0.2 ms.
_AT_ONCE = 65_536
# Above this joining takes a millisecond.
_JOINED_ELSEWHERE = 1 << 20
_THREADS = 2

Result = TypeVar("Result")


class Waiting(Protocol):
    """A request whose body is being inflated, or whose answer is being deflated."""

    gone: bool
    head: RequestHead

    def hold(self, size: int) -> Refusal | None:
        """Count so many bytes more for it; why there is no room for them, or None."""

    def inflated(self, body: bytes) -> None:
        """Its body is there."""

    def refuse(self, refusal: Refusal) -> None:
        """There is no room for its body."""

    def refuse_error(self, error: ServingError) -> None:
        """Its body cannot be inflated, or is too large."""

    def deflated(self, answer: bytes | Split) -> None:
        """Its answer is there."""


class Compression:
    """Threads for one worker's compressed bodies, and the tasks that wait for them."""

    def __init__(self, limits: HttpLimits) -> None:
        self._limits = limits
        self._threads: ThreadPoolExecutor | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def inflate(self, waiting: Waiting, body: Buffer) -> None:
        """Have `waiting` called with its body inflated, at once where that is small."""
        inflation = Inflation(waiting.head.coding, body)
        try:
            first = inflation.step(_AT_ONCE)
        except BadRequest as error:
            waiting.refuse_error(error)
            return
        if not self._taken(waiting, len(first), len(first)):
            return
        if inflation.done:
            waiting.inflated(first)
        else:
            self._begin(self._inflate(waiting, inflation, first))

    def deflate(self, waiting: Waiting, answer: bytes, tail: tuple[Buffer, ...]) -> None:
        """Have `waiting` called with its answer deflated; as it is where that gains too little."""
        self._begin(self._deflate(waiting, answer, tail))

    async def stop(self) -> None:
        """What still waits is forgotten with its connections."""
        await end_all(self._tasks)
        if self._threads is not None:
            self._threads.shutdown(wait=False)

    def _begin(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _inflate(self, waiting: Waiting, inflation: Inflation, first: bytes) -> None:
        pieces, size = [first], len(first)
        try:
            while not inflation.done:
                pieces.append(await self._elsewhere(inflation.step))
                if waiting.gone:
                    return
                size += len(pieces[-1])
                if not self._taken(waiting, len(pieces[-1]), size):
                    return
            body = await self._elsewhere(partial(b"".join, pieces)) if size > _JOINED_ELSEWHERE else b"".join(pieces)
        except BadRequest as error:
            if not waiting.gone:
                waiting.refuse_error(error)
            return
        if not waiting.gone:
            waiting.inflated(body)

    def _taken(self, waiting: Waiting, more: int, size: int) -> bool:
        """Count what was inflated; a body that goes over its bounds is refused there, and inflated no further."""
        if size > waiting.head.longest_inflated:
            waiting.refuse_error(TooLarge(too_large(self._limits, waiting.head.json_size).message))
            return False
        refusal = waiting.hold(more)
        if refusal is not None:
            waiting.refuse(refusal)
        return refusal is None

    async def _deflate(self, waiting: Waiting, answer: bytes, tail: tuple[Buffer, ...]) -> None:
        accepts = waiting.head.accepts
        start = answer.index(b"\r\n\r\n") + 4
        body = (memoryview(answer)[start:], *tail)
        try:
            made = await self._elsewhere(partial(deflated, accepts.coding, body, always=not accepts.plain))
        except Exception as error:  # noqa: BLE001 - a defect of ours costs this request and strands nobody
            if not waiting.gone:
                waiting.refuse_error(ModelFailed(f"the answer could not be compressed: {type(error).__name__}"))
            return
        if not waiting.gone:
            waiting.deflated(recoded(answer, tail, accepts.coding, made))

    async def _elsewhere(self, work: Callable[[], Result]) -> Result:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_THREADS, "compression")
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)
