"""One connection to a gateway over HTTP, on which request follows request."""

from __future__ import annotations

import http.client
from collections.abc import Mapping

from serving.bulk.asking import Reply
from serving.bulk.encoding import Body

# An answer may come this long after the time that the request itself allows.
_GRACE_S = 10.0


class HttpGateway:
    """Belongs to one thread; a connection that broke is opened anew by the next request."""

    def __init__(self, host: str, port: int, path: str, headers: Mapping[str, str], timeout_s: float) -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=timeout_s + _GRACE_S)
        self._path = path
        self._headers = {**headers, "x-request-timeout-ms": str(round(timeout_s * 1000))}

    def ask(self, body: Body) -> Reply:
        """See Gateway."""
        headers = {**self._headers, **body.headers, "content-length": str(body.size)}
        kept = self._connection.sock is not None
        try:
            return self._once(body, headers)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            if not kept or isinstance(error, TimeoutError):
                raise
        # An idle connection that the gateway closed, in a rolling restart for example, tells nothing of the gateway;
        # inference may be asked twice.
        try:
            return self._once(body, headers)
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise

    def _once(self, body: Body, headers: Mapping[str, str]) -> Reply:
        self._connection.request("POST", self._path, iter(body.parts), headers)
        response = self._connection.getresponse()
        content = response.read()
        return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, content)
