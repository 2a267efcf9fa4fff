"""Bodies with binary tensors, put together and taken apart as the extension says, without the code that is tested."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from tests.unit.edge.http.wire import Response, post

INFER = "/v2/models/mlp/infer"


def tensor(name: str, datatype: str, shape: Sequence[int], size: int | None, **more: Any) -> dict[str, Any]:
    """An input whose elements follow the JSON."""
    parameters = {} if size is None else {"parameters": {"binary_data_size": size}}
    return {"name": name, "datatype": datatype, "shape": list(shape), **parameters, **more}


def body_of(inputs: Sequence[dict[str, Any]], *elements: bytes, **more: Any) -> tuple[bytes, int]:
    """A whole body, and the length of its JSON part."""
    document = orjson.dumps({"inputs": list(inputs), **more})
    return b"".join((document, *elements)), len(document)


def request(body: bytes, json_size: object, *, path: str = INFER, headers: str = "") -> bytes:
    """A request of such a body."""
    return post(body, path=path, headers=f"Inference-Header-Content-Length: {json_size}\r\n{headers}")


def outputs_of(response: Response) -> dict[str, Any]:
    """Each output's values: a list where they are JSON, else their bytes."""
    assert response.status == 200, response.body
    given = response.headers.get("inference-header-content-length")
    size = len(response.body) if given is None else int(given)
    assert response.headers["content-type"] == ("application/json" if given is None else "application/octet-stream")
    document, start = orjson.loads(response.body[:size]), size
    values = {}
    for output in document["outputs"]:
        if "data" in output:
            values[output["name"]] = output["data"]
            continue
        stop = start + output["parameters"]["binary_data_size"]
        values[output["name"]] = response.body[start:stop]
        start = stop
    assert start == len(response.body)
    return values
