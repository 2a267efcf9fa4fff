"""The suite's own HTTP client on the standard library: what servers send is taken as it is, nothing is repaired."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from urllib.parse import urlsplit

from serving.conformance.exchange import Answer, told


class NotReachable(Exception):
    """Nothing answers there."""


class HttpClient:
    """One kept connection; `transcript` holds the exchanges since it was last cleared, the newest last."""

    def __init__(self, url: str, timeout_s: float) -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"{url}: must look like http://127.0.0.1:8080")
        self.host, self.port = parts.hostname, parts.port or 80
        self.authority = parts.netloc
        # A gateway may be mounted below a path; tritonclient can be told so too.
        self.prefix = parts.path.rstrip("/")
        self.timeout_s = timeout_s
        self.transcript: list[str] = []
        self._kept = self._connection()

    def ask(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
        """Any answer, errors included.

        Raises:
            NotReachable: the server does not answer.
        """
        sent = dict(headers or {})
        try:
            answer = self._exchange(method, path, body, sent)
        except (OSError, http.client.HTTPException) as error:
            self._kept.close()
            why = f"no answer: {type(error).__name__} {error}".rstrip()
            self.transcript.append(told(method, path, list(sent.items()), body, why))
            raise NotReachable(f"{method} {path}: {why}") from error
        self.transcript.append(told(method, path, list(sent.items()), body, answer))
        return answer

    def another(self) -> HttpClient:
        """A client of the same server with a connection and a transcript of its own, for callers at once."""
        return HttpClient(f"http://{self.authority}{self.prefix}", self.timeout_s)

    def close(self) -> None:
        """Give the connection back."""
        self._kept.close()

    def _exchange(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        used = self._kept.sock is not None
        try:
            return self._once(method, path, body, headers)
        except (ConnectionError, http.client.BadStatusLine):
            self._kept.close()
            if not used:
                raise
        # A server may close an idle connection at any time: the request is sent again on a fresh one.
        return self._once(method, path, body, headers)

    def _once(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        # putheader and not request(): that one adds headers of its own, and what is sent is what is tried.
        self._kept.putrequest(method, self.prefix + path, skip_accept_encoding=True)
        for name, value in headers.items():
            self._kept.putheader(name, value)
        if (body or method == "POST") and "transfer-encoding" not in headers:
            self._kept.putheader("content-length", str(len(body)))
        self._kept.endheaders(body or None)
        response = self._kept.getresponse()
        content = response.read()
        return Answer(response.status, [(k.lower(), v) for k, v in response.getheaders()], content)

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, self.port, timeout=self.timeout_s)
