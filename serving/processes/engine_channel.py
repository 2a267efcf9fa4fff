"""The engine's end of its control channel, for a process whose main thread belongs to Ray: blocking, no event loop."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from typing import Any


class EngineChannel:
    """`stopping` is set by the supervisor's "stop", and when the supervisor is gone."""

    def __init__(self, fd: int, stopping: threading.Event) -> None:
        self._socket = socket.socket(fileno=fd)
        self._socket.setblocking(True)  # noqa: FBT003 - the socket's own signature
        # Workers of Ray would inherit it, and the supervisor would wait for its end of file in vain.
        self._socket.set_inheritable(False)
        self._lines = self._socket.makefile("rb")
        self._stopping = stopping
        self._sending = threading.Lock()

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

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            for line in self._lines:
                with contextlib.suppress(ValueError, AttributeError):
                    if json.loads(line).get("type") == "stop":
                        break
        self._stopping.set()
