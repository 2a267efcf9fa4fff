"""Owns what is on its way to webhooks: messages that a rollout owes, and questions whether it may go on.

Each message is tried to the end once under one number of the controller: some times with growing pauses, then given up.
A later controller sends again what is still owed, with the same id, so that receivers can tell.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from serving.errors import ServingError, Unavailable
from serving.rollouts.hook import Hook
from serving.rollouts.hook_message import Message, headers, key_of
from serving.rollouts.hook_post import post

log = logging.getLogger(__name__)

# Pauses before the second try and those after it; about half a minute in all, since a rollout is news for no longer.
_PAUSES_S = (1.0, 3.0, 9.0, 20.0)
_ASK_AGAIN_S = 10.0
# Receivers that hang hold so many connections at most, of all rollouts.
_AT_ONCE = 16
_MOST_TASKS = 256
# Of messages that ended; one that is forgotten though it is owed is sent again, with the same id.
_MOST_SENT = 1_024
_AGAIN = frozenset({408, 425, 429})
_SERVER_FAILED = 500


class Post(Protocol):
    """See `hook_post.post`."""

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> int:
        """The status."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a message; `failure` says why it was given up, "" where it was taken."""

    id: str
    host: str
    failure: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What webhooks say to the question `asked`: `yes` once all of them agree, until then why not yet."""

    asked: str = ""
    yes: bool = False
    why: str = "it was not asked yet"


class Webhooks:
    """`now` is the time of day in seconds; `sleep` and `send` are those of the world, or of a test."""

    def __init__(
        self,
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        send: Post = post,
    ) -> None:
        self._now = now
        self._sleep = sleep
        self._send = send
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self._sending: dict[str, asyncio.Task[None]] = {}
        self._sent: dict[str, Sent] = {}
        self._asking: dict[str, tuple[str, asyncio.Task[None]]] = {}
        self._answers: dict[str, Answer] = {}

    def deliver(self, hook: Hook, message: Message) -> None:
        """Begin to send it, unless that was begun; `finished` tells of it. Where too much is on its way it waits."""
        if message.id not in self._sending and message.id not in self._sent and len(self._sending) < _MOST_TASKS:
            self._sending[message.id] = self._own(self._delivered(hook, message), message.id)

    def finished(self, message_id: str) -> Sent | None:
        """What became of it, once."""
        return self._sent.pop(message_id, None)

    def ask(self, rollout_id: str, asked: str, questions: Sequence[tuple[Hook, Message]]) -> None:
        """Ask until all agree; another question of the same rollout replaces this one."""
        if rollout_id in self._asking and self._asking[rollout_id][0] == asked:
            return
        self.ask_no_more(rollout_id)
        self._answers[rollout_id] = Answer(asked)
        self._asking[rollout_id] = asked, self._own(self._asked(rollout_id, asked, questions), asked)

    def ask_no_more(self, rollout_id: str) -> None:
        """Nobody waits for the answer any more."""
        self._answers.pop(rollout_id, None)
        if rollout_id in self._asking:
            self._asking.pop(rollout_id)[1].cancel()

    def answer(self, rollout_id: str) -> Answer:
        """The last one."""
        return self._answers.get(rollout_id, Answer())

    def drop(self) -> None:
        """Another controller judges: what is owed is for that one to send."""
        for task in (*self._sending.values(), *(task for _, task in self._asking.values())):
            task.cancel()
        self._sending, self._sent, self._asking, self._answers = {}, {}, {}, {}

    async def stop(self) -> None:
        """End everything that is on its way."""
        tasks = [*self._sending.values(), *(task for _, task in self._asking.values())]
        self.drop()
        if tasks:
            await asyncio.wait(tasks)

    def _own(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        return asyncio.create_task(work, name=f"webhook {name}")

    async def _delivered(self, hook: Hook, message: Message) -> None:
        failure = "it was given up"
        try:
            failure = await self._tried(hook, message)
        except ServingError as error:
            failure = error.message
        except Exception as error:
            # A defect here must not leave the message on its way for ever.
            log.exception("message %s could not be sent", message.id)
            failure = f"{type(error).__name__}"
        if failure:
            log.warning("webhook %s was not told (%s): %s", hook.host, message.id, failure)
        # Here and not once it is asked for: some are owed no more when they end, and nobody asks for those.
        self._sending.pop(message.id, None)
        self._sent[message.id] = Sent(message.id, hook.host, failure)
        if len(self._sent) > _MOST_SENT:
            del self._sent[next(iter(self._sent))]

    async def _tried(self, hook: Hook, message: Message) -> str:
        """Why it was given up, "" where it was taken."""
        failure = ""
        for pause_s in (0.0, *_PAUSES_S):
            if pause_s:
                await self._sleep(pause_s)
            try:
                status = await self._once(hook, message)
            except Unavailable as error:
                failure = error.message
                continue
            if _is_yes(status):
                return ""
            failure = _in_words(status)
            if status < _SERVER_FAILED and status not in _AGAIN:
                return failure
        return f"{failure}, {1 + len(_PAUSES_S)} times"

    async def _asked(self, rollout_id: str, asked: str, questions: Sequence[tuple[Hook, Message]]) -> None:
        while True:
            answers = [await self._yes(hook, message) for hook, message in questions]
            why = "; ".join(one for one in answers if one)
            self._answers[rollout_id] = Answer(asked, not why, why)
            if not why:
                return
            await self._sleep(_ASK_AGAIN_S)

    async def _yes(self, hook: Hook, message: Message) -> str:
        """Why one hook does not agree yet; "" where it does."""
        try:
            status = await self._once(hook, message)
        except ServingError as error:
            return f"{hook.host}: {error.message}"
        except Exception as error:
            log.exception("question %s could not be asked", message.id)
            return f"{hook.host}: {type(error).__name__}"
        return "" if _is_yes(status) else f"{hook.host}: {_in_words(status)}"

    async def _once(self, hook: Hook, message: Message) -> int:
        key = await asyncio.to_thread(key_of, hook.secret)
        async with self._at_once:
            return await self._send(hook.url, headers(message, key, self._now()), message.body, hook.timeout_s)


def _is_yes(status: int) -> bool:
    return 200 <= status < 300  # noqa: PLR2004 - RFC 9110, section 15.3


def _in_words(status: int) -> str:
    if 300 <= status < 400:  # noqa: PLR2004 - RFC 9110, section 15.4
        return f"it answered {status}, and redirects are not followed: name the address itself"
    return f"it answered {status}"
