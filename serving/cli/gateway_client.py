"""A running gateway as the commands ask it: one connection, JSON both ways, the standard library's client."""

from __future__ import annotations

import http.client
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

import orjson

from serving.cli.failure import CommandFailed, not_reachable, wrong_usage

_OK = 200
_TIMEOUT_S = 30.0
# A whole page may come from what is no gateway.
_LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer; `took_s` is what the caller waited, connecting excluded."""

    status: int
    headers: Mapping[str, str]
    body: Any
    took_s: float


class GatewayClient:
    """Keeps one connection; a connection that the gateway closed meanwhile is opened again, once."""

    def __init__(self, url: str, timeout_s: float = _TIMEOUT_S) -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = _port(parts)
        if parts.scheme != "http" or not parts.hostname or port is None:
            raise wrong_usage(f"--url {url}: must look like http://127.0.0.1:8080")
        # A gateway may be mounted below a path of another server.
        self._below = parts.path.rstrip("/")
        self.url = f"http://{parts.netloc}{self._below}"
        self._connection = http.client.HTTPConnection(parts.hostname, port, timeout=timeout_s)

    def get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """The body of a 200.

        Raises:
            CommandFailed: nothing answers there, or it answers with an error.
        """
        return self._worked(self.ask("GET", path))

    def post(self, path: str, document: object, headers: Mapping[str, str] | None = None) -> Reply:
        """The reply, which is a 200.

        Raises:
            CommandFailed: nothing answers there, or it answers with an error.
        """
        reply = self.ask("POST", path, orjson.dumps(document), {"content-type": "application/json", **(headers or {})})
        self._worked(reply)
        return reply

    def ask(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
        """Any reply, errors included.

        Raises:
            CommandFailed: nothing answers there.
        """
        try:
            return self._once(method, path, body, headers or {})
        except (ConnectionError, http.client.HTTPException):
            # Inference is idempotent, so what an idle connection lost may be asked again.
            self._connection.close()
        except OSError as error:
            raise not_reachable(f"{self.url} does not answer ({_why(error)})") from error
        try:
            return self._once(method, path, body, headers or {})
        except (OSError, http.client.HTTPException) as error:
            raise self._silent(error) from error

    def order(
        self, path: str, headers: Mapping[str, str], body: bytes = b"", shown_by: str = "sluice models list"
    ) -> Reply:
        """The reply to a POST that changes something, which is never sent twice; `shown_by` tells whether it was done.

        Raises:
            CommandFailed: nothing answers there, or what was sent got no answer.
        """
        try:
            self._connect()
        except OSError as error:
            raise self._silent(error) from error
        try:
            return self._once("POST", path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            text = f"{self.url} gave no answer ({_why(error)}) and may have done it; `{shown_by}` shows it"
            raise not_reachable(text) from error

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()

    def _once(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        try:
            self._connect()
            began = time.perf_counter()
            self._connection.request(method, self._below + path, body or None, _sent(headers))
            response = self._connection.getresponse()
            content = response.read()
        except OSError:
            self._connection.close()
            raise
        took_s = time.perf_counter() - began
        return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, _json(content), took_s)

    def _connect(self) -> None:
        if self._connection.sock is None:
            self._connection.connect()

    def _silent(self, error: Exception) -> CommandFailed:
        return not_reachable(f"{self.url} does not answer ({_why(error)}); is `sluice up` running?")

    def _worked(self, reply: Reply) -> Any:  # noqa: ANN401 - JSON
        if reply.status != _OK:
            raise CommandFailed(f"{self.url} answered {reply.status}: {said(reply)}")
        return reply.body


def said(reply: Reply) -> str:
    """Why it was refused, on one line, whoever answered."""
    told = reply.body or ""
    if isinstance(reply.body, dict):
        told = reply.body.get("error") or _detail(reply.body.get("detail", ""))
    return " ".join(str(told).split())[:_LONGEST_REASON] or "nothing more"


def _detail(told: Any) -> str:  # noqa: ANN401 - JSON
    """What servers made with FastAPI say instead of an error: a text, or a place and a message for each mistake."""
    if not isinstance(told, list):
        return str(told)
    return "; ".join(
        f"{'.'.join(map(str, one.get('loc', ())))}: {one.get('msg', one)}" if isinstance(one, dict) else str(one)
        for one in told
    )


def model_path(model: str, version: int | None = None) -> str:
    """Where a model, or one version of it, is found."""
    path = f"/v2/models/{quote(model, safe='')}"
    return path if version is None else f"{path}/versions/{version}"


def _port(parts: SplitResult) -> int | None:
    try:
        return parts.port or 80
    except ValueError:
        return None


def _sent(headers: Mapping[str, str]) -> dict[str, bytes]:
    for name, value in headers.items():
        if not value.isprintable():
            raise wrong_usage(f"{name} {value!r}: a header has no line breaks and nothing that cannot be seen")
    # Left to itself, the library refuses what is beyond Latin letters.
    return {name: value.encode() for name, value in headers.items()}


def _json(content: bytes) -> Any:  # noqa: ANN401 - JSON
    if not content:
        return None
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return content.decode(errors="replace")


def _why(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
