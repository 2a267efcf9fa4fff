"""How one row is asked for, and how an answer is read: JSON tensors, JSON instances, binary tensors, gRPC messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import orjson
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from serving.protocol.open_inference import ModelInferRequest, ModelInferResponse

if TYPE_CHECKING:
    from benchmarks.workload import Workload

HEADER_LENGTH = "inference-header-content-length"
_FLOATS = np.dtype("<f4")
Values = list[NDArray[np.float64]]


class Reply(NamedTuple):
    """One answer; `status` is HTTP's, and 200 for a gRPC call that ended with OK. Names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Encoding(Protocol):
    """Bytes of a request, and the values of an answer: flat, one float64 array for each output.

    `given` raises KeyError, IndexError, TypeError or ValueError for an answer of another form.
    """

    def headers(self, workload: Workload) -> Mapping[str, str]:
        """What goes with every request, beside its length."""

    def path(self, workload: Workload) -> str:
        """Where every contender takes it."""

    def body(self, workload: Workload, row: int) -> bytes:
        """One row as a request."""

    def given(self, workload: Workload, reply: Reply) -> Values:
        """The values of an answer."""


class JsonTensors:
    """The Open Inference Protocol in JSON, flat data."""

    def headers(self, workload: Workload) -> Mapping[str, str]:
        """JSON."""
        del workload
        return {"Content-Type": "application/json"}

    def path(self, workload: Workload) -> str:
        """Infer."""
        return f"/v2/models/{workload.model}/infer"

    def body(self, workload: Workload, row: int) -> bytes:
        """Rounded, so that a body has the length that hand-written ones have."""
        values = [round(float(value), 6) for value in workload.rows[row].ravel()]
        shape = [1, *workload.rows.shape[1:]]
        return orjson.dumps(
            {"inputs": [{"name": workload.input_name, "shape": shape, "datatype": "FP32", "data": values}]}
        )

    def given(self, workload: Workload, reply: Reply) -> Values:
        """The outputs' data; outputs with nothing around them will do, in the peers' favour."""
        del workload
        answer = orjson.loads(reply.body)
        outputs = answer if isinstance(answer, list) else answer["outputs"]
        return [np.asarray(output["data"], dtype=np.float64).ravel() for output in outputs]


class Instances:
    """V1: each row by its entities' ids, which have to be looked up."""

    def __init__(self, instances: Sequence[Mapping[str, str]]) -> None:
        self._instances = instances

    def headers(self, workload: Workload) -> Mapping[str, str]:
        """JSON."""
        del workload
        return {"Content-Type": "application/json"}

    def path(self, workload: Workload) -> str:
        """Predict."""
        return f"/v1/models/{workload.model}:predict"

    def body(self, workload: Workload, row: int) -> bytes:
        """One instance."""
        del workload
        return orjson.dumps({"instances": [self._instances[row]]})

    def given(self, workload: Workload, reply: Reply) -> Values:
        """The only prediction."""
        del workload
        return [np.asarray(orjson.loads(reply.body)["predictions"][0], dtype=np.float64).ravel()]


class BinaryTensors:
    """The binary tensor extension, both ways: a short JSON head, then the bytes of the tensors."""

    def headers(self, workload: Workload) -> Mapping[str, str]:
        """The head's length is the same for every row."""
        return {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(self._head(workload)))}

    def path(self, workload: Workload) -> str:
        """Infer."""
        return f"/v2/models/{workload.model}/infer"

    def body(self, workload: Workload, row: int) -> bytes:
        """Head and data."""
        return self._head(workload) + workload.data(row)

    def given(self, workload: Workload, reply: Reply) -> Values:
        """With a head as the protocol asks; without one the body is the only output's bytes, in the peers' favour."""
        if HEADER_LENGTH not in reply.headers:
            return [workload.values(reply.body)]
        start = int(reply.headers[HEADER_LENGTH])
        values = []
        for output in orjson.loads(reply.body[:start])["outputs"]:
            stop = start + output["parameters"]["binary_data_size"]
            values.append(workload.values(reply.body[start:stop]))
            start = stop
        return values

    @staticmethod
    def _head(workload: Workload) -> bytes:
        tensor = {
            "name": workload.input_name,
            "shape": [1, *workload.rows.shape[1:]],
            "datatype": workload.datatype,
            "parameters": {"binary_data_size": len(workload.data(0))},
        }
        return orjson.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}})


class GrpcMessages:
    """ModelInfer with raw contents, as tritonclient sends it."""

    def headers(self, workload: Workload) -> Mapping[str, str]:
        """What gRPC over HTTP/2 asks for."""
        del workload
        return {"content-type": "application/grpc", "te": "trailers"}

    def path(self, workload: Workload) -> str:
        """The method."""
        del workload
        return "/inference.GRPCInferenceService/ModelInfer"

    def body(self, workload: Workload, row: int) -> bytes:
        """The message itself; who sends it frames it."""
        request = ModelInferRequest(model_name=workload.model)
        request.inputs.add(name=workload.input_name, datatype=workload.datatype, shape=[1, *workload.rows.shape[1:]])
        request.raw_input_contents.append(workload.data(row))
        return bytes(request.SerializeToString())

    def given(self, workload: Workload, reply: Reply) -> Values:
        """Raw contents, or floats where a server answers with those."""
        try:
            response = ModelInferResponse.FromString(reply.body)
        except DecodeError as error:
            raise ValueError(str(error)) from error
        if response.raw_output_contents:
            return [workload.values(content) for content in response.raw_output_contents]
        return [np.asarray(output.contents.fp32_contents, dtype=np.float64) for output in response.outputs]


def floats(data: bytes) -> NDArray[np.float64]:
    """FP32 as the binary extension has it."""
    return np.frombuffer(data, _FLOATS).astype(np.float64)


def texts(data: bytes) -> NDArray[np.float64]:
    """BYTES as the numbers of their bytes, length prefixes included: equal texts, and no others, are equal."""
    return np.frombuffer(data, np.uint8).astype(np.float64)
