"""Bodies as bytes: JSON as it is, or the Open Inference Protocol's binary tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson

from serving.errors import ConfigInvalid

# By the protocol's names.
DTYPES = {
    "BOOL": "?", "INT8": "i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8", "UINT8": "u1", "UINT16": "<u2",
    "UINT32": "<u4", "UINT64": "<u8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
HEADER_LENGTH = "inference-header-content-length"


def as_json(body: object) -> tuple[dict[str, str], bytes]:
    """Headers and bytes."""
    return {"content-type": "application/json"}, orjson.dumps(body)


def as_binary(body: Any) -> tuple[dict[str, str], bytes]:  # noqa: ANN401 - what a file says
    """The same request with its tensors' bytes behind the JSON.

    Raises:
        ConfigInvalid: no request with tensors of numbers.
    """
    try:
        tensors = [np.asarray(one["data"], DTYPES[one["datatype"]]).tobytes() for one in body["inputs"]]
        heads = [{key: value for key, value in one.items() if key != "data"} for one in body["inputs"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigInvalid(
            f"protocol binary needs bodies with inputs of numbers, as /v2/models/.../infer takes: {error}"
        ) from error
    for head, tensor in zip(heads, tensors, strict=True):
        head["parameters"] = {**head.get("parameters", {}), "binary_data_size": len(tensor)}
    # Answers stay JSON, which is what they are compared as.
    json = orjson.dumps({**body, "inputs": heads})
    return {HEADER_LENGTH: str(len(json)), "content-type": "application/octet-stream"}, json + b"".join(tensors)
