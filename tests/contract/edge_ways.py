"""Every way to ask an edge for a prediction: HTTP with JSON or binary tensors, gRPC with raw or typed contents."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, Protocol
from urllib.parse import quote

import grpc

from serving.protocol.open_inference import ModelInferRequest, ModelInferResponse
from tests.contract.asked import Asked, Piece, Refused, Told, elements_of, piece, values_of
from tests.contract.both_edges import Ports
from tests.e2e.http_client import Connection, Reply

# Each status of HTTP has one of gRPC here; written out, since both tables are what is tried.
CODES: Mapping[int, str] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "FAILED_PRECONDITION",
    413: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
INFER = "/inference.GRPCInferenceService/ModelInfer"
HEADER_LENGTH = "inference-header-content-length"
PATIENCE_S = 30.0
_FIELDS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


class Way(Protocol):
    """`lacks` are the datatypes that it has no form for; where NaN has none, `nan` is false."""

    lacks: frozenset[str]
    nan: bool

    def ask(self, asked: Asked) -> Told | Refused:
        """Send it and wait."""


class HttpJson:
    """Tensors as JSON, both ways."""

    lacks = frozenset(("FP16", "BF16"))
    nan = False

    def __init__(self, port: int) -> None:
        self._port = port

    def ask(self, asked: Asked) -> Told | Refused:
        """Send it and wait."""
        document = _document(asked, [_in_json(one) for one in asked.inputs])
        return _heard(_posted(self._port, asked, json.dumps(document).encode(), {}))


class HttpBinary:
    """Tensors behind the JSON, both ways."""

    lacks: frozenset[str] = frozenset()
    nan = True

    def __init__(self, port: int) -> None:
        self._port = port

    def ask(self, asked: Asked) -> Told | Refused:
        """Send it and wait."""
        sizes = [{**_facts(one), "parameters": {"binary_data_size": len(one.data)}} for one in asked.inputs]
        document = _document(asked, sizes)
        document["parameters"] = {**asked.parameters, "binary_data_output": True}
        head = json.dumps(document).encode()
        body = head + b"".join(one.data for one in asked.inputs)
        return _heard(_posted(self._port, asked, body, {HEADER_LENGTH: str(len(head))}))


class Grpc:
    """Contents raw, or `typed`, in the field of their datatype; answers are raw."""

    nan = True

    def __init__(self, channel: Any, *, typed: bool) -> None:
        self._typed = typed
        self.lacks = frozenset(("FP16", "BF16")) if typed else frozenset()
        self._infer = channel.unary_unary(
            INFER,
            request_serializer=ModelInferRequest.SerializeToString,
            response_deserializer=ModelInferResponse.FromString,
        )

    def ask(self, asked: Asked) -> Told | Refused:
        """Send it and wait."""
        timeout_s = PATIENCE_S if asked.timeout_s is None else asked.timeout_s
        metadata = tuple(asked.headers.items())
        try:
            answer, call = self._infer.with_call(self._message(asked), timeout=timeout_s, metadata=metadata)
        except grpc.RpcError as error:
            return Refused(error.code().name, error.details(), _metadata_of(error))
        outputs = tuple(
            Piece(one.name, one.datatype, tuple(one.shape), raw)
            for one, raw in zip(answer.outputs, answer.raw_output_contents, strict=True)
        )
        return Told(answer.model_name, answer.model_version, answer.id, outputs, _metadata_of(call))

    def _message(self, asked: Asked) -> ModelInferRequest:
        message = ModelInferRequest(model_name=asked.model, model_version=asked.version, id=asked.id)
        for one in asked.inputs:
            tensor = message.inputs.add(name=one.name, datatype=one.datatype, shape=one.shape)
            if self._typed:
                getattr(tensor.contents, _FIELDS.get(one.datatype, "fp32_contents")).extend(values_of(one))
            else:
                message.raw_input_contents.append(one.data)
        for name in asked.outputs or ():
            message.outputs.add(name=name)
        for name, value in asked.parameters.items():
            kind = {bool: "bool_param", int: "int64_param", str: "string_param"}[type(value)]
            setattr(message.parameters[name], kind, value)
        return message


@contextmanager
def _over_grpc(ports: Ports, *, typed: bool) -> Iterator[Way]:
    with grpc.insecure_channel(f"127.0.0.1:{ports.grpc}") as channel:
        yield Grpc(channel, typed=typed)


Open = Callable[[Ports], AbstractContextManager[Way]]
WAYS: Mapping[str, Open] = {
    "HTTP, JSON": lambda ports: nullcontext(HttpJson(ports.http)),
    "HTTP, binary": lambda ports: nullcontext(HttpBinary(ports.http)),
    "gRPC, raw": partial(_over_grpc, typed=False),
    "gRPC, typed": partial(_over_grpc, typed=True),
}


def _document(asked: Asked, inputs: list[dict[str, Any]]) -> dict[str, Any]:
    document: dict[str, Any] = {"inputs": inputs}
    if asked.id:
        document["id"] = asked.id
    if asked.parameters:
        document["parameters"] = dict(asked.parameters)
    if asked.outputs is not None:
        document["outputs"] = [{"name": name} for name in asked.outputs]
    return document


def _facts(one: Piece) -> dict[str, Any]:
    return {"name": one.name, "datatype": one.datatype, "shape": list(one.shape)}


def _in_json(one: Piece) -> dict[str, Any]:
    values = values_of(one)
    # What is no text has no form in JSON, so that a lone surrogate stands for it.
    text = [value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value for value in values]
    return {**_facts(one), "data": text}


def _posted(port: int, asked: Asked, body: bytes, more: Mapping[str, str]) -> Reply:
    path = f"/v2/models/{quote(asked.model, safe='')}" + (f"/versions/{asked.version}" if asked.version else "")
    headers = {**asked.headers, **more}
    if asked.timeout_s is not None:
        headers["x-request-timeout-ms"] = str(round(asked.timeout_s * 1000))
    with Connection(port) as connection:
        return connection.request("POST", f"{path}/infer", body, headers)


def _heard(reply: Reply) -> Told | Refused:
    if reply.status != 200:
        return Refused(CODES[reply.status], reply.error, reply.headers)
    size = int(reply.headers.get(HEADER_LENGTH, len(reply.body)))
    document, start = json.loads(reply.body[:size]), size
    outputs = []
    for one in document["outputs"]:
        shape = tuple(one["shape"])
        if "data" in one:
            values = [value.encode() for value in one["data"]] if one["datatype"] == "BYTES" else one["data"]
            outputs.append(piece(one["name"], one["datatype"], values, shape))
            continue
        stop = start + one["parameters"]["binary_data_size"]
        outputs.append(Piece(one["name"], one["datatype"], shape, reply.body[start:stop]))
        start = stop
    assert start == len(reply.body)
    return Told(document["model_name"], document["model_version"], document["id"], tuple(outputs), reply.headers)


def _metadata_of(call: Any) -> dict[str, str]:
    return {**dict(call.initial_metadata() or ()), **dict(call.trailing_metadata() or ())}


def told(heard: Told | Refused) -> Told:
    """An answer, which it must be."""
    assert isinstance(heard, Told), heard
    return heard


def refused(heard: Told | Refused) -> Refused:
    """A refusal, which it must be."""
    assert isinstance(heard, Refused), heard
    return heard


def texts_of(one: Piece) -> list[str]:
    """The BYTES elements of an output as text."""
    return [element.decode() for element in elements_of(one.data)]
