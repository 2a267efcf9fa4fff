"""The access log: a line for each error, and for a share of the other answers; names and times, no payloads."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Mapping
from typing import Any

from serving.errors import ServingError, UnknownModel
from serving.inference import CallerContext, Request
from serving.observation import BatchSeen, Flown
from serving.telemetry.caller_context import request_id_of
from serving.telemetry.tracing.choice import Bound, Share

log = logging.getLogger("serving.access")

# An overload is thousands of refusals a second, of which each line would say the same; writing 100 takes 5 ms.
MOST_PER_S = 100.0
# Ten seconds of lines; whoever reads standard error may pause so long.
_MOST_WAITING = 1_000
# Who does not read must not hold up a worker that ends.
_END_S = 1.0

# Writes a line with these facts, or says that there is no room for it.
Write = Callable[[Mapping[str, Any]], bool]


def write_at_once(facts: Mapping[str, Any]) -> bool:
    """Write a line on this thread, however long that takes."""
    log.info("request", extra={"facts": facts})
    return True


class LineWriter:
    """Writes lines on a thread of its own: where nobody reads standard error a write waits, and so would the loop."""

    def __init__(self, write: Callable[[Mapping[str, Any]], object] = write_at_once) -> None:
        self._write = write
        self._queue: queue.Queue[Mapping[str, Any] | None] = queue.Queue(_MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def offer(self, facts: Mapping[str, Any]) -> bool:
        """Have a line written, soon; false where too many wait."""
        try:
            self._queue.put_nowait(facts)
        except queue.Full:
            return False
        return True

    async def stop(self) -> None:
        """Write what waits, if somebody reads, and end the thread."""
        await asyncio.to_thread(self._end)

    def _end(self) -> None:
        try:
            self._queue.put(None, timeout=_END_S)
        except queue.Full:
            return
        self._thread.join(_END_S)

    def _run(self) -> None:
        while (facts := self._queue.get()) is not None:
            self._write(facts)


class AccessLog:
    """Lines of one worker; what is over `MOST_PER_S`, or has no room, is left out, and counted in the next line."""

    def __init__(
        self, share: float, chance: Callable[[], float], clock: Callable[[], float], write: Write = write_at_once
    ) -> None:
        self._share = Share(share, chance)
        self._bound = Bound(MOST_PER_S)
        self._clock = clock
        self._write_line = write
        self._left_out = 0

    def batch_answered(self, seen: BatchSeen, flown: Flown, traced: Mapping[Request, str]) -> None:
        """A batch gave these requests their answers, or their error; `traced` has their traces."""
        failed = seen.outcome != "ok"
        for request, total_s, queue_s in zip(flown.requests, seen.total_s, seen.queue_s, strict=True):
            if (failed or self._share.takes()) and self._has_room():
                facts: dict[str, Any] = {
                    **_names(request.context, traced.get(request, "")),
                    "model": seen.key.model,
                    "version": seen.key.version,
                    "variant": seen.variant,
                    "rows": request.rows,
                    "total_ms": _ms(total_s),
                    "queue_ms": _ms(queue_s),
                    "run_ms": _ms(seen.run_s),
                }
                if request.degraded:
                    facts["degraded"] = request.degraded
                self._write(seen.outcome, facts)

    def refused(self, request: Request, why: ServingError, now: float, trace_id: str) -> None:
        """A request was answered with an error outside of any batch."""
        if not self._has_room():
            return
        chosen = request.chosen
        facts: dict[str, Any] = _names(request.context, trace_id)
        # A name that no route has is the caller's own text.
        if chosen is not None or not isinstance(why, UnknownModel):
            facts["model"] = request.model
        if chosen is not None:
            facts |= {"version": chosen.version, "variant": request.variant}
        self._write(why.reason, {**facts, "total_ms": _ms(now - request.received_at)})

    def turned_away(self, model: str, reason: str, context: CallerContext | None, trace_id: str) -> None:
        """An edge refused something before it was a request; `model` is a known name or ""."""
        if not self._has_room():
            return
        names = _names(context, trace_id)
        self._write(reason, {**names, "model": model} if model else names)

    def _has_room(self) -> bool:
        """Asked before anything is made for a line: in an overload most have no room."""
        if self._bound.takes(self._clock()):
            return True
        self._left_out += 1
        return False

    def _write(self, outcome: str, facts: Mapping[str, Any]) -> None:
        more = {"left_out": self._left_out} if self._left_out else {}
        if self._write_line({"outcome": outcome, **facts, **more}):
            self._left_out = 0
        else:
            self._left_out += 1


def _names(context: CallerContext | None, trace_id: str) -> dict[str, Any]:
    """What the caller's x-request-id says, and its trace: ours, or one that goes on without a span of ours."""
    if not trace_id and context is not None and context.traceparent:
        trace_id = context.traceparent.split(b"-")[1].decode()
    names = {"request_id": request_id_of(context), "trace_id": trace_id}
    return {name: value for name, value in names.items() if value}


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
