"""Requests of the Open Inference Protocol as gRPC messages, and whether their answers are right."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from loadtests.generator.grpc_wire import MOST_MESSAGE, prefixed
from loadtests.payload.encoding import DTYPES
from loadtests.payload.entry import Entry, agrees, known_of
from serving.errors import ConfigInvalid
from serving.protocol.open_inference import ModelInferRequest, ModelInferResponse

METHOD = "/inference.GRPCInferenceService/ModelInfer"
_PATH = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?/infer")
_REMEMBERED = 16


class GrpcAsk:
    """A request whose answers are compared where they are known; see Ask."""

    __slots__ = ("_answers", "known", "request")

    def __init__(self, request: bytes, answers: Mapping[str, object]) -> None:
        self.request = request
        self._answers = answers
        self.known: dict[bytes, bool] = {}

    def is_answered_by(self, head: bytes, body: bytes) -> bool:  # noqa: ARG002 - the signature of Ask
        """By the version that the answer names."""
        try:
            found = ModelInferResponse.FromString(body)
            answer = decoded(found)
        except (ValueError, KeyError):
            return False
        # The message names its version itself, so that it is known by its bytes.
        of = known_of(self._answers, found.model_version)
        right = of is None or agrees(self._answers[of], answer)
        if len(self.known) < _REMEMBERED:
            self.known[body] = right
        return right


def message_of(entry: Entry, path: str) -> bytes:
    """The same request as a message, its tensors raw.

    Raises:
        ConfigInvalid: no request with tensors of numbers, or one too large.
    """
    named = _PATH.fullmatch(path)
    if named is None:
        raise ConfigInvalid(f"protocol grpc needs paths such as /v2/models/NAME/infer, which {path} is not")
    message = ModelInferRequest(model_name=named[1], model_version=named[2] or "")
    try:
        for one in entry.body["inputs"]:
            message.inputs.add(name=one["name"], datatype=one["datatype"], shape=one["shape"])
            message.raw_input_contents.append(np.asarray(one["data"], DTYPES[one["datatype"]]).tobytes())
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigInvalid(f"protocol grpc needs bodies with inputs of numbers: {error}") from error
    made = prefixed(message.SerializeToString())
    if len(made) > MOST_MESSAGE:
        raise ConfigInvalid(f"a message of {len(made):,} bytes; the generator's gRPC has room for {MOST_MESSAGE:,}")
    return made


def decoded(response: ModelInferResponse) -> dict[str, Any]:
    """As the JSON of the same answer would have it."""
    outputs = []
    for number, output in enumerate(response.outputs):
        raw = response.raw_output_contents[number] if number < len(response.raw_output_contents) else b""
        outputs.append({"name": output.name, "data": np.frombuffer(raw, DTYPES[output.datatype]).tolist()})
    return {"outputs": outputs}
