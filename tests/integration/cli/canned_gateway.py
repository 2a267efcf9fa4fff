"""A gateway that always says the same, to look at what commands make of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Key = tuple[str, str]
Answers = dict[Key, tuple[int, Any]]


@contextmanager
def canned_gateway(
    answers: Answers, *, foreign: bool = False
) -> Iterator[tuple[str, list[tuple[str, dict[str, str], Any]]]]:
    """Its address, and what it was sent: path, headers, body. A `foreign` server has none of our headers."""
    sent: list[tuple[str, dict[str, str], Any]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            length = int(self.headers.get("content-length", 0))
            body = json.loads(self.rfile.read(length)) if length else None
            sent.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            status, document = answers.get((self.command, self.path), (404, {"error": "no such thing"}))
            content = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            if not foreign:
                self.send_header("x-sluice-version", "2")
                self.send_header("x-sluice-variant", "stable")
            if self.path.endswith(":predict"):
                self.send_header("x-sluice-degraded", "plane=not_found")
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer  # noqa: N815 - the server's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the server's names
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", sent
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
