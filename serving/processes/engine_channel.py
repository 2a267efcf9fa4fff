"""The engine's end of its control channel, for a process whose main thread belongs to Ray: blocking, no event loop."""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import socket
import threading
from collections.abc import Callable
from typing import Any

from serving.errors import ServingError, Unavailable
from serving.telemetry.log import LogSettings, use_log_settings

log = logging.getLogger(__name__)


class EngineChannel:
    """`stopping` is set by the supervisor's "stop", and when the supervisor is gone."""

    def __init__(self, fd: int, stopping: threading.Event) -> None:
        self._socket = socket.socket(fileno=fd)
        self._socket.setblocking(True)  # noqa: FBT003 - the socket's own signature
        # Workers of Ray would inherit it, and the supervisor would wait for its end of file in vain.
        self._socket.set_inheritable(False)
        self._lines = self._socket.makefile("rb")
        self._stopping = stopping
        self._asked: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._sending = threading.Lock()
        self._carrying_out = threading.Lock()

    def first(self) -> dict[str, Any]:
        """The start message.

        Raises:
            SystemExit: the supervisor went away before it said anything.
        """
        line = self._lines.readline()
        if not line.endswith(b"\n"):
            raise SystemExit(0)
        message: dict[str, Any] = json.loads(line)
        return message

    def listen(self) -> None:
        """Begin to obey, on a thread."""
        threading.Thread(target=self._listen, name="control channel", daemon=True).start()

    def tell(self, kind: str, **facts: object) -> None:
        """Send one message; does nothing when the supervisor has gone."""
        with self._sending, contextlib.suppress(OSError):
            self._socket.sendall(json.dumps({"type": kind, **facts}).encode() + b"\n")

    def obey(self, carry_out: Callable[[dict[str, Any]], None]) -> None:
        """Begin to answer what the supervisor asks, one after the other, on a thread; earlier questions wait for it."""
        threading.Thread(target=self._obey, args=(carry_out,), name="orders", daemon=True).start()

    def settle(self, within_s: float) -> bool:
        """When it is to stop: wait for what is being carried out, nothing else will be. False if it takes longer."""
        settled = self._carrying_out.acquire(timeout=within_s)
        if settled:
            self._carrying_out.release()
        return settled

    def _obey(self, carry_out: Callable[[dict[str, Any]], None]) -> None:
        while True:
            asked = self._asked.get()
            with self._carrying_out:
                self._answer(asked, _nothing_more if self._stopping.is_set() else carry_out)

    def _answer(self, asked: dict[str, Any], carry_out: Callable[[dict[str, Any]], None]) -> None:
        try:
            carry_out(asked)
        except ServingError as error:
            self.tell("answer", id=asked["id"], error=error.message, reason=error.reason)
        # Ray raises what it likes, and whoever asked waits for an answer.
        except Exception as error:
            log.exception("the pools could not be changed")
            text = f"the pools could not be changed: {type(error).__name__}: {error}"
            self.tell("answer", id=asked["id"], error=text, reason=Unavailable.reason)
        else:
            self.tell("answer", id=asked["id"], answer={})

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            for line in self._lines:
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    message = json.loads(line)
                    if message["type"] == "stop":
                        break
                    if message["type"] == "log":
                        use_log_settings(LogSettings(**message["settings"]))
                    if message["type"] == "ask":
                        self._asked.put(message)
        self._stopping.set()


def _nothing_more(_: dict[str, Any]) -> None:
    raise Unavailable("the session is stopping; ask again when it has started anew")
