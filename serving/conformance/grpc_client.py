"""The suite's gRPC client: grpcio, the protocol's messages, and nothing of any other client."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, Self, TypeVar

from serving.conformance.check import Failed
from serving.conformance.http_client import NotReachable
from serving.protocol.descriptors import DecodeError

_SHOWN, _PRINTED = 300, 4096
_SERVICE = "inference.GRPCInferenceService"
_OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))


class Message(Protocol):
    """What a client needs of a protobuf message."""

    def SerializeToString(self) -> bytes:  # noqa: N802 - protobuf's names
        """Its bytes."""

    def ByteSize(self) -> int:  # noqa: N802
        """How many they are."""

    @classmethod
    def FromString(cls, s: bytes, /) -> Self:  # noqa: N802
        """A message of these bytes."""


Answer = TypeVar("Answer", bound=Message)


class GrpcFailed(Exception):
    """The call ended with another status than OK; `code` is its name."""

    def __init__(self, code: str, details: str) -> None:
        super().__init__(f"{code}: {details}")
        self.code = code
        self.details = details


class GrpcClient:
    """One channel; what is sent and what comes goes into the same transcript as HTTP's.

    Raises:
        ValueError: grpcio is not installed.
    """

    def __init__(self, target: str, timeout_s: float, transcript: list[str]) -> None:
        self.target = target
        self._timeout_s = timeout_s
        self._transcript = transcript
        self._grpc = _grpcio()
        self._channel = self._grpc.insecure_channel(target, options=_OPTIONS)

    def connect(self) -> None:
        """Wait for the server.

        Raises:
            NotReachable: nothing speaks gRPC there in time.
        """
        try:
            self._grpc.channel_ready_future(self._channel).result(self._timeout_s)
        except self._grpc.FutureTimeoutError as error:
            raise NotReachable(f"{self.target} does not answer over gRPC") from error

    def call(self, method: str, request: Message, answer: type[Answer]) -> Answer:
        """One call of the inference service.

        Raises:
            GrpcFailed: it ended with another status than OK.
        """
        return self.call_any(f"/{_SERVICE}/{method}", request, answer)

    def call_any(self, path: str, request: Message, answer: type[Answer]) -> Answer:
        """One call of any service."""
        data = self.exchange(path, request.SerializeToString(), _short(request))
        message = _read(answer, data)
        self._transcript.append(f"< OK {_short(message)}")
        return message

    def exchange(self, path: str, data: bytes, told: str = "") -> bytes:
        """One call whose messages are plain bytes; the answer is told by who understands it."""
        self._transcript.append(f"> {path} {told or data[:_SHOWN]!r}")
        call = self._channel.unary_unary(path)
        with self._translated():
            answered: bytes = call(data, timeout=self._timeout_s)
        return answered

    def stream_bytes(self, path: str, messages: Sequence[bytes]) -> list[bytes]:
        """One stream of any service whose messages are plain bytes."""
        self._transcript.append(f"> {path} {list(messages)!r:.{_SHOWN}}")
        call = self._channel.stream_stream(path)
        with self._translated():
            return list(call(iter(messages), timeout=self._timeout_s))

    def stream(self, method: str, requests: Sequence[Message], answer: type[Answer]) -> list[Answer]:
        """One stream: all of the requests, then all of the answers."""
        sent = [one.SerializeToString() for one in requests]
        messages = [_read(answer, data) for data in self.stream_bytes(f"/{_SERVICE}/{method}", sent)]
        self._transcript.extend(f"< {_short(message)}" for message in messages[:3])
        return messages

    def leave(self, method: str, request: Message, after_s: float) -> None:
        """Begin a call and leave it after that time."""
        call = self._channel.unary_unary(f"/{_SERVICE}/{method}")
        begun = call.future(request.SerializeToString(), timeout=self._timeout_s)
        time.sleep(after_s)
        begun.cancel()

    def close(self) -> None:
        """Give the channel back."""
        self._channel.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except self._grpc.RpcError as error:
            code, details = error.code().name, str(error.details() or "")
            self._transcript.append(f"< {code} {details[:_SHOWN]}")
            raise GrpcFailed(code, details) from error


def _grpcio() -> Any:  # noqa: ANN401 - the library has no types
    # Late: only who asks for --grpc needs the library.
    try:
        return importlib.import_module("grpc")
    except ModuleNotFoundError as missing:
        raise ValueError("--grpc needs grpcio; install it with: pip install 'sluice-gateway[conformance]'") from missing


def _read(kind: type[Answer], data: bytes) -> Answer:
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise Failed(f"the answer is no {kind.__name__}: {error}") from error


def _short(message: Message) -> str:
    size = message.ByteSize()
    if size > _PRINTED:
        # Protobuf takes seconds to print megabytes.
        return f"{type(message).__name__} of {size} bytes"
    text = " ".join(str(message).split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({size} bytes)"
