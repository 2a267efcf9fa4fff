"""What a bad request is in these tests, and how one is written: the bytes are sent as they stand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from tests.e2e.http_client import PATIENT, request_bytes

DOUBLER = "/v2/models/doubler/infer"
PREDICT = "/v1/models/doubler:predict"
GOOD_ROW = [1.0, 2.0, 3.0, 4.0]


@dataclass(frozen=True, slots=True)
class Bad:
    """`says` are pieces of the error; `closes`: nothing after it on the connection can be trusted."""

    name: str
    sent: bytes
    status: int
    says: tuple[str, ...]
    closes: bool = False


def tensor(**changed: object) -> dict[str, object]:
    """The doubler's only input, right but for what is changed; None leaves a field out."""
    right: dict[str, object] = {"name": "x", "shape": [1, 4], "datatype": "FP32", "data": GOOD_ROW}
    return {key: value for key, value in (right | changed).items() if value is not None}


def posted(path: str, body: bytes | object, headers: Mapping[str, str] | None = None) -> bytes:
    """A POST of JSON, or of bytes that are none."""
    return request_bytes("POST", path, body if isinstance(body, bytes) else json.dumps(body).encode(), headers)


def infer(*tensors: object, **fields: object) -> bytes:
    """A POST to the doubler with these tensors."""
    return posted(DOUBLER, {"inputs": list(tensors), **fields})


def instances(*rows: object, **fields: object) -> bytes:
    """A POST of named instances to the doubler."""
    return posted(PREDICT, {"instances": list(rows), **fields})


def infer_one(model: str, datatype: str, data: list[object]) -> bytes:
    """A POST of one row to a model of the zoo that takes `x`."""
    one = {"name": "x", "shape": [1, len(data)], "datatype": datatype, "data": data}
    return posted(f"/v2/models/{model}/infer", {"inputs": [one]})


def raw(*lines: str, body: bytes = b"") -> bytes:
    """A request's head line by line, and its body."""
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


GOOD = posted(DOUBLER, {"inputs": [tensor()]}, PATIENT)
GOOD_BODY = GOOD.partition(b"\r\n\r\n")[2]
GOOD_ANSWER = [2.0, 4.0, 6.0, 8.0]
