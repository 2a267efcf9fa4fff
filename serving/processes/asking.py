"""Questions over a control channel, each answered once; whoever asks hears also that nobody will answer any more."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from serving.errors import ModelFailed, NotReady, ServingError, error_of

log = logging.getLogger(__name__)

Facts = Mapping[str, Any]


class Ask(Protocol):
    """Asks the other side of a channel; `what` names the question."""

    async def __call__(self, what: str, **facts: Any) -> Facts:  # noqa: ANN401 - whatever JSON can say
        """What it answered.

        Raises:
            ServingError: the other side's own words, or NotReady when it has gone.
        """


class Asking:
    """The side that asks; `send` puts a message on the channel, `answered` is given each "answer" that comes."""

    def __init__(self, send: Callable[..., None]) -> None:
        self._send = send
        self._numbers = itertools.count(1)
        self._open: dict[int, asyncio.Future[Facts]] = {}
        self._gone = ""

    async def ask(self, what: str, **facts: Any) -> Facts:  # noqa: ANN401 - see Ask
        """See `Ask`."""
        if self._gone:
            raise NotReady(self._gone)
        number = next(self._numbers)
        answer: asyncio.Future[Facts] = asyncio.get_running_loop().create_future()
        self._open[number] = answer
        self._send("ask", id=number, what=what, **facts)
        try:
            return await answer
        finally:
            del self._open[number]

    def answered(self, message: Facts) -> None:
        """Give the answer to whoever asked, if that one still waits."""
        waiting = self._open.get(message["id"])
        if waiting is None or waiting.done():
            return
        if "error" in message:
            waiting.set_exception(error_of(message.get("reason", ""), message["error"]))
        else:
            waiting.set_result(message["answer"])

    def close(self, why: str) -> None:
        """Nobody will answer any more."""
        self._gone = why
        for waiting in self._open.values():
            if not waiting.done():
                waiting.set_exception(NotReady(why))


async def answer(message: Facts, obey: Callable[[Facts], Awaitable[Facts]], send: Callable[..., None]) -> None:
    """The side that is asked: do it, and say what came of it, whatever that is."""
    try:
        send("answer", id=message["id"], answer=await obey(message))
    except ServingError as error:
        send("answer", id=message["id"], error=error.message, reason=error.reason)
    except Exception as error:
        log.exception("%s could not be answered", message.get("what"))
        send("answer", id=message["id"], error=f"{type(error).__name__}: {error}", reason=ModelFailed.reason)
