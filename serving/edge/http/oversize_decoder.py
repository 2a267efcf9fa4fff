"""Large JSON documents decoded in another process, so that the loop goes on answering everybody else."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from serving.edge.http import binary_body, codec
from serving.edge.http.limits import HttpLimits
from serving.edge.http.oversize_frames import (
    LENGTHS,
    InferForm,
    NamedForm,
    decoded_entities,
    decoded_infer,
    decoded_instances,
    request_frame,
)
from serving.errors import ModelFailed, Overloaded, ServingError, Unavailable
from serving.features.entity_rows import EntityRows
from serving.features.plan import ReadPlan
from serving.inference import Buffer, Tensor
from serving.request_path.predictions import InstanceForm

log = logging.getLogger(__name__)

_PROCESS = "serving.edge.http.oversize_process"


class Waiting(Protocol):
    """A request whose body is being decoded elsewhere."""

    @property
    def gone(self) -> bool:
        """Nobody waits for it any more."""

    def accept(
        self, tensors: Sequence[Tensor], asked: codec.Asked | int, received_at: float, rows: EntityRows | None = None
    ) -> None:
        """Its body is decoded, to tensors or to `rows` of entities."""

    def refuse_error(self, error: ServingError) -> None:
        """Its body cannot be decoded."""


class _Again:
    """A request whose body is being decoded once more; `told` hears what came of it."""

    def __init__(self, waiting: Waiting, told: Callable[[EntityRows | ServingError], None]) -> None:
        self._waiting = waiting
        self._told = told

    @property
    def gone(self) -> bool:
        """Its client has left."""
        return self._waiting.gone

    def accept(
        self, tensors: Sequence[Tensor], asked: codec.Asked | int, received_at: float, rows: EntityRows | None = None
    ) -> None:
        """See `Waiting.accept`."""
        del tensors, asked, received_at
        assert rows is not None  # noqa: S101 - a plan makes them of any document that it takes
        self._told(rows)

    def refuse_error(self, error: ServingError) -> None:
        """See `Waiting.refuse_error`."""
        self._told(error)


class Document(NamedTuple):
    """What is to be decoded, for whom, and since when it is here (monotonic seconds); `form` None: an infer request.

    `json_size` is the length of the JSON part of a body with binary tensors, which alone is decoded elsewhere.
    """

    waiting: Waiting
    form: InstanceForm | None
    body: Buffer
    received_at: float
    json_size: int | None = None


class OversizeDecoder:
    """One child process, started by the first large document; documents wait for it in a bounded queue."""

    def __init__(self, limits: HttpLimits) -> None:
        self._limits = limits
        self._documents: deque[Document] = deque()
        self._working: asyncio.Task[None] | None = None
        self._child: asyncio.subprocess.Process | None = None

    def decode(self, document: Document) -> None:
        """Have it decoded; its request is called with tensors or with an error, later and on the loop's thread."""
        limit = self._limits.max_oversize_waiting
        if len(self._documents) >= limit:
            message = f"{limit} large JSON documents wait already (http.max_oversize_waiting); try again in a moment"
            document.waiting.refuse_error(Overloaded(message))
            return
        self._documents.append(document)
        if self._working is None:
            self._working = asyncio.get_running_loop().create_task(self._work())

    async def stop(self) -> None:
        """End the process; what still waits is forgotten with its connections."""
        working, self._working = self._working, None
        if working is not None:
            working.cancel()
            await asyncio.wait([working])
        await self._end_child()

    async def _work(self) -> None:
        try:
            while self._documents:
                document = self._documents.popleft()
                if not document.waiting.gone:
                    await self._settle(document)
        finally:
            self._working = None

    async def _settle(self, document: Document) -> None:
        """Hand one document on, or say why not; whatever it meets costs nobody behind it."""
        waiting = document.waiting
        try:
            accept = await self._decoded(document)
            if not waiting.gone:
                accept()
        except Exception as error:  # noqa: BLE001 - raised on, it would strand those that wait behind it
            try:
                if not waiting.gone:
                    waiting.refuse_error(_outcome(error))
            except Exception:
                log.exception("a request with a large JSON document could not be refused")

    async def _decoded(self, document: Document) -> Callable[[], None]:
        try:
            async with asyncio.timeout(self._limits.oversize_s):
                head, blob = await self._ask(document)
        except Exception as error:
            # Whatever it would say next belongs to a document that nobody waits for.
            await self._end_child()
            if not isinstance(error, (OSError, EOFError, TimeoutError)):
                raise
            name = type(error).__name__
            raise Unavailable(f"the process that decodes large JSON documents failed ({name})") from error
        return self._accepting(document, head, blob)

    async def _ask(self, document: Document) -> tuple[bytes, bytes]:
        child = self._child
        if child is None or child.returncode is not None:
            child = self._child = await _start()
        source, sink = child.stdout, child.stdin
        if source is None or sink is None:
            raise EOFError
        form, body, json_size = document.form, document.body, document.json_size
        if json_size is not None:
            body = memoryview(body)[:json_size]
        sink.writelines(request_frame(self._frame_form(form, binary=json_size is not None), body))
        await sink.drain()
        head_size, blob_size = LENGTHS.unpack(await source.readexactly(LENGTHS.size))
        return await source.readexactly(head_size), await source.readexactly(blob_size)

    def _frame_form(self, form: InstanceForm | None, *, binary: bool) -> ReadPlan | NamedForm | InferForm:
        if form is None:
            return InferForm(self._limits, binary)
        return form if isinstance(form, ReadPlan) else NamedForm(form, self._limits)

    def _accepting(self, document: Document, head: bytes, blob: bytes) -> Callable[[], None]:
        """What hands the decoded document on; raises BadRequest if it was refused."""
        waiting, form, body = document.waiting, document.form, document.body
        if isinstance(form, ReadPlan):
            rows = decoded_entities(form, head, blob, partial(self._again, document))
            return partial(waiting.accept, (), rows.count, document.received_at, rows)
        if form is not None:
            tensors, count = decoded_instances(head, blob)
            return partial(waiting.accept, tensors, count, document.received_at)
        start = len(body) if document.json_size is None else document.json_size
        asked = binary_body.cut(decoded_infer(head, blob), body, start, self._limits)
        return partial(waiting.accept, asked.inputs, asked, document.received_at)

    def _again(self, document: Document, plan: ReadPlan, told: Callable[[EntityRows | ServingError], None]) -> None:
        """Have entities read by another version's plan: here that would hold the loop, 250 ms for 8 MB."""
        self.decode(document._replace(waiting=_Again(document.waiting, told), form=plan))

    async def _end_child(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()


def _outcome(error: Exception) -> ServingError:
    if isinstance(error, ServingError):
        return error
    log.error("a large JSON document could not be handed on", exc_info=error)
    return ModelFailed("the gateway failed on this request; its log says why")


async def _start() -> asyncio.subprocess.Process:
    # The child finds the package where this process found it.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", _PROCESS, stdin=pipe, stdout=pipe, env=environment
    )
