"""One request at a time over HTTP or gRPC, to see whether a contender is ready and right."""

from __future__ import annotations

import http.client
from typing import Protocol

import grpc

from benchmarks.encodings import GrpcMessages, Reply
from benchmarks.workload import Workload

Failed = (OSError, http.client.HTTPException)


class Asker(Protocol):
    """One connection; `ask` raises one of `Failed` where no answer came."""

    def ask(self, workload: Workload, row: int) -> Reply:
        """One answer."""

    def close(self) -> None:
        """End the connection; a next `ask` makes a new one."""


class Ports(Protocol):
    """Where a contender listens; the same port twice for one that knows a single protocol."""

    port: int
    grpc_port: int


def port_for(ports: Ports, workload: Workload) -> int:
    """The one that takes the workload's requests."""
    return ports.grpc_port if isinstance(workload.encoding, GrpcMessages) else ports.port


def asker(port: int, workload: Workload, timeout_s: float = 10.0) -> Asker:
    """For the workload's protocol."""
    if isinstance(workload.encoding, GrpcMessages):
        return GrpcAsker(port, timeout_s)
    return HttpAsker(port, timeout_s)


class HttpAsker:
    """A kept connection."""

    def __init__(self, port: int, timeout_s: float) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)

    def ask(self, workload: Workload, row: int) -> Reply:
        """POST it."""
        encoding = workload.encoding
        headers = dict(encoding.headers(workload))
        self._connection.request("POST", encoding.path(workload), encoding.body(workload, row), headers)
        answer = self._connection.getresponse()
        return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())

    def close(self) -> None:
        """A later request connects anew."""
        self._connection.close()


class GrpcAsker:
    """A channel of its own; messages go and come as bytes."""

    def __init__(self, port: int, timeout_s: float) -> None:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", options)
        self._timeout_s = timeout_s

    def ask(self, workload: Workload, row: int) -> Reply:
        """Call it."""
        encoding = workload.encoding
        call = self._channel.unary_unary(encoding.path(workload))
        try:
            return Reply(http.client.OK, {}, call(encoding.body(workload, row), timeout=self._timeout_s))
        except grpc.RpcError as error:
            raise ConnectionError(str(error)) from None

    def close(self) -> None:
        """Nothing is asked after it."""
        self._channel.close()
