"""Loops that send changed requests to a running session and look at every answer, and at good requests in between."""

from __future__ import annotations

import json
import struct
import time
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import grpc

from serving.protocol.open_inference import ModelInferRequest, ModelInferResponse
from tests.e2e.bad_request import GOOD, GOOD_ANSWER, GOOD_ROW
from tests.e2e.fuzz_seeds import binary_bodies, grpc_messages, json_bodies
from tests.e2e.http_client import PATIENT, Connection, request_bytes
from tests.e2e.mutation import Mutation

_GOOD_EVERY = 10
_INFER = "/inference.GRPCInferenceService/ModelInfer"
_ALLOWED = frozenset(
    (
        grpc.StatusCode.OK,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    )
)
_PATIENCE_S = 30.0


@dataclass(slots=True)
class Tally:
    """How many answers had which status, what was answered as it must not be, and how the time went."""

    statuses: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    good: int = 0
    sent: int = 0

    def __str__(self) -> str:
        return f"{self.sent} changed requests, {dict(self.statuses)}; {self.good} good ones; wrong: {self.wrong[:5]}"


Send = Callable[[Tally], None]


def repeat(send: Send, good: Callable[[], bool], *, for_s: float, most: int) -> Tally:
    """Send until the time is over or so many were sent, with a good request after every tenth."""
    tally = Tally()
    ends = time.monotonic() + for_s
    while tally.sent < most and time.monotonic() < ends:
        send(tally)
        tally.sent += 1
        if tally.sent % _GOOD_EVERY == 0:
            tally.good += 1
            if not good():
                tally.wrong.append(f"the good request after {tally.sent} others")
    return tally


class HttpBodies:
    """Bodies in JSON, with binary tensors, and compressed; changed before or after their compression."""

    def __init__(self, port: int, number: int) -> None:
        self._connection = Connection(port)
        self._seeds = [*json_bodies(), *binary_bodies()]
        self._mutation = Mutation([body for *_, body in self._seeds], number)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def good(self) -> bool:
        """Whether a good request gets its own answer."""
        self._connection.send(GOOD)
        reply = self._connection.read()
        return reply.status == 200 and reply.json()["outputs"][0]["data"] == GOOD_ANSWER

    def send(self, tally: Tally) -> None:
        """One changed request, and its answer."""
        path, headers, body = self._next()
        self._connection.send(request_bytes("POST", path, body, headers))
        reply = self._connection.read()
        tally.statuses[str(reply.status)] += 1
        if reply.status != 200 and not (400 <= reply.status < 500 and "error" in json.loads(reply.body)):
            tally.wrong.append(f"{reply.status} {reply.body[:200]!r} to {path} {headers} {body!r}")

    def _next(self) -> tuple[str, Mapping[str, str], bytes]:
        mutation, below = self._mutation, self._mutation.below
        path, size, seed = self._seeds[below(len(self._seeds))]
        # One in eight as it is: what is changed besides is then all that is wrong.
        body = mutation.of(seed) if below(8) else seed
        headers: dict[str, str] = {**PATIENT}
        if size:
            most = size + (below(7) - 3 if below(4) == 0 else len(body) - len(seed) if below(2) else 0)
            headers["inference-header-content-length"] = str(min(max(0, most), len(body)))
        if below(4) == 0:
            headers["content-encoding"] = ("gzip", "deflate")[below(2)]
            body = _packed(headers["content-encoding"], body)
            body = mutation.of(body) if below(2) else body
        if below(4) == 0:
            headers["accept-encoding"] = "gzip"
        return path, headers, body


class GrpcMessages:
    """Messages of ModelInfer, changed after they were serialized."""

    def __init__(self, port: int, number: int) -> None:
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self._call = self._channel.unary_unary(_INFER)
        self._mutation = Mutation(grpc_messages(), number)
        good = ModelInferRequest(model_name="doubler")
        good.inputs.add(name="x", datatype="FP32", shape=[1, 4])
        good.raw_input_contents.append(struct.pack("<4f", *GOOD_ROW))
        self._good = good.SerializeToString()

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def good(self) -> bool:
        """Whether a good call gets its own answer."""
        answer = ModelInferResponse.FromString(self._call(self._good, timeout=_PATIENCE_S))
        return list(answer.raw_output_contents) == [struct.pack("<4f", *GOOD_ANSWER)]

    def send(self, tally: Tally) -> None:
        """One changed message, and its answer."""
        message = self._mutation.next()
        try:
            self._call(message, timeout=_PATIENCE_S)
        except grpc.RpcError as error:
            code, said = error.code(), error.details()
        else:
            code, said = grpc.StatusCode.OK, ""
        tally.statuses[code.name] += 1
        if code not in _ALLOWED:
            tally.wrong.append(f"{code.name} {said!r} to {message!r}")


def _packed(coding: str, body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=31 if coding == "gzip" else 15)
    return packer.compress(body) + packer.flush()
