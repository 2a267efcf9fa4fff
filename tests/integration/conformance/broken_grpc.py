"""gRPC servers that break one promise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from serving.conformance.datatypes import DATATYPES, NO_TEXT
from serving.conformance.grpc_checks import refusals
from serving.conformance.grpc_message import FIELDS
from serving.conformance.known_models import KNOWN
from serving.conformance.served_model import ServedModel
from serving.protocol import open_inference as oip
from serving.protocol.health import HealthCheckResponse
from tests.integration.conformance.good_grpc import Answer, Change, Refused

_NOWHERE, _NO_VERSION = "oip-no-such-model", "987654321"
_FP32 = "oip-identity-fp32"
When = Callable[[Any], bool]
ANSWERS: dict[str, Any] = {
    "ServerLive": oip.ServerLiveResponse,
    "ServerReady": oip.ServerReadyResponse,
    "ServerMetadata": oip.ServerMetadataResponse,
    "ModelReady": oip.ModelReadyResponse,
    "ModelMetadata": oip.ModelMetadataResponse,
    "ModelConfig": oip.ModelConfigResponse,
    "ModelStatistics": oip.ModelStatisticsResponse,
    "RepositoryIndex": oip.RepositoryIndexResponse,
    "ModelInfer": oip.ModelInferResponse,
    "ModelStreamInfer": oip.ModelStreamInferResponse,
}
REQUESTS: dict[str, Any] = {
    "ServerLive": oip.ServerLiveRequest,
    "ServerReady": oip.ServerReadyRequest,
    "ServerMetadata": oip.ServerMetadataRequest,
    "ModelReady": oip.ModelReadyRequest,
    "ModelMetadata": oip.ModelMetadataRequest,
    "ModelConfig": oip.ModelConfigRequest,
    "ModelStatistics": oip.ModelStatisticsRequest,
    "RepositoryIndex": oip.RepositoryIndexRequest,
    "ModelInfer": oip.ModelInferRequest,
    "ModelStreamInfer": oip.ModelInferRequest,
}


def edited(method: str, edit: Callable[[Any], object], when: When = lambda _: True) -> Change:
    """The right answer of a method changed."""

    def spoiled(answer: Answer) -> Answer:
        def other(path: str, message: bytes) -> bytes:
            data = answer(path, message)
            if not path.endswith(f"/{method}") or not when(REQUESTS[method].FromString(message)):
                return data
            told = ANSWERS[method].FromString(data)
            edit(told)
            changed: bytes = told.SerializeToString()
            return changed

        return other

    return spoiled


def instead(path_end: str, when: Callable[[bytes], bool], told: Any) -> Change:
    """Another answer, or another refusal, in place of what is right."""

    def spoiled(answer: Answer) -> Answer:
        def other(path: str, message: bytes) -> bytes:
            if not path.endswith(path_end) or not when(message):
                return answer(path, message)
            if isinstance(told, Exception):
                raise told
            changed: bytes = told if isinstance(told, bytes) else told.SerializeToString()
            return changed

        return other

    return spoiled


def any_message(_message: bytes) -> bool:
    return True


def infers(when: When) -> Callable[[bytes], bool]:
    """Inferences that are so."""
    return lambda message: when(oip.ModelInferRequest.FromString(message))


def _set(**fields: Any) -> Callable[[Any], None]:
    def edit(told: Any) -> None:
        for field, value in fields.items():
            setattr(told, field, value)

    return edit


def _values(told: Any, add: float = 1.0, place: int = 0) -> None:
    values = np.frombuffer(told.raw_output_contents[place], "<f4").copy()
    values[0] += add
    told.raw_output_contents[place] = values.tobytes()


def _first(request: Any) -> float:
    raw = request.raw_input_contents
    return float(np.frombuffer(raw[0], "<f4")[0]) if raw and len(raw[0]) >= 4 else 0.0


def _model(name: str) -> When:
    return lambda request: request.model_name == name


def _typed_out(told: Any) -> None:
    for place, entry in enumerate(told.outputs):
        entry.contents.fp32_contents.extend(np.frombuffer(told.raw_output_contents[place], "<f4").tolist())
    del told.raw_output_contents[:]


def _rotated(told: Any) -> None:
    raw = told.raw_output_contents[0]
    told.raw_output_contents[0] = raw[16:] + raw[:16]


def _one_more(told: Any) -> None:
    told.outputs.append(oip.ModelInferResponse.InferOutputTensor(name="more", datatype="FP32", shape=[0]))
    told.raw_output_contents.append(b"")


def _last_byte(told: Any) -> None:
    raw = told.raw_output_contents[0]
    told.raw_output_contents[0] = raw[:-1] + bytes([raw[-1] ^ 1])


def _of(*names: str) -> When:
    return lambda request: [one.name for one in request.outputs] == list(names)


def _bits(request: Any) -> bool:
    raw = request.raw_input_contents
    row = request.model_name.startswith("oip-identity-") and [list(one.shape) for one in request.inputs] == [[1, 4]]
    # Rows asked alone have these shapes too, and begin with halves.
    alone = request.model_name == _FP32 and not np.isnan(_first(request))
    return bool(raw) and row and not alone and NO_TEXT[0] not in raw[0]


def _typed_row(request: Any) -> bool:
    return not request.raw_input_contents and [list(one.shape) for one in request.inputs] == [[1, 4]]


def _no_text(request: Any) -> bool:
    return any(NO_TEXT[0] in raw for raw in request.raw_input_contents)


def _large(request: Any) -> bool:
    return any(len(raw) > 4_000_000 for raw in request.raw_input_contents)


def _case(name: str) -> Callable[[bytes], bool]:
    """The suite's own request for a case."""
    message = _sent(name).SerializeToString(deterministic=True)
    return infers(lambda request: request.SerializeToString(deterministic=True) == message)


def _sent(name: str) -> Any:
    case = next(one for one in refusals._CASES if one.name == name)
    return case.build(_Models())  # type: ignore[arg-type]


class _Models:
    """What a case asks a server for."""

    def any_model(self) -> ServedModel:
        return self.known_model(_FP32)

    def identity_model(self, datatype: str) -> ServedModel:
        return self.known_model(f"oip-identity-{datatype.lower()}")

    def several_inputs(self) -> ServedModel:
        return self.known_model("oip-two")

    def known_model(self, name: str) -> ServedModel:
        graph = KNOWN[name].graph
        return ServedModel(name, graph.inputs, graph.outputs, ("1",), KNOWN[name])


def _tired(answer: Answer) -> Answer:
    """After ten refusals in a row the next inference is refused too."""
    refused = 0

    def other(path: str, message: bytes) -> bytes:
        nonlocal refused
        try:
            told = answer(path, message)
        except Refused:
            refused += path.endswith("/ModelInfer")
            raise
        if path.endswith("/ModelInfer"):
            tired, refused = refused >= 10, 0
            if tired:
                raise Refused("tired", "UNAVAILABLE")
        return told

    return other


def _left(answer: Answer) -> Answer:
    """After somebody left the next caller is refused, who is the only one: calls that were left may come late."""
    left = refused = False

    def other(path: str, message: bytes) -> bytes:
        nonlocal left, refused
        told = answer(path, message)
        if not path.endswith("/ModelInfer"):
            return told
        before, left = left, oip.ModelInferRequest.FromString(message).id == "left"
        if before and not left and not refused:
            refused = True
            raise Refused("still busy", "UNAVAILABLE")
        return told

    return other


SERVICES: dict[str, Change] = {
    "grpc.server.live": edited("ServerLive", _set(live=False)),
    "grpc.server.ready": edited("ServerReady", _set(ready=False)),
    "grpc.server.metadata": instead("/ServerMetadata", any_message, oip.ServerMetadataResponse(name="good")),
    "grpc.server.same": edited("ServerMetadata", _set(name="another")),
    "grpc.server.unimplemented": instead("/OipNoSuchMethod", any_message, b""),
    "grpc.server.broken": instead("/ModelMetadata", lambda message: message.startswith(b"\xff"), b""),
    "grpc.server.health": instead(
        "Health/Check", lambda message: not message, HealthCheckResponse(status="NOT_SERVING")
    ),
    "grpc.server.health.unknown": instead("Health/Check", bool, HealthCheckResponse(status="SERVING")),
    "grpc.server.reflection": instead("/ServerReflectionInfo", any_message, b"nothing"),
    "grpc.model.ready": edited("ModelReady", _set(ready=False)),
    "grpc.model.ready.unknown": instead(
        "/ModelReady", lambda message: _NOWHERE.encode() in message, oip.ModelReadyResponse(ready=True)
    ),
    "grpc.model.metadata": edited("ModelMetadata", lambda told: told.inputs.pop(), lambda r: r.name == "oip-open"),
    "grpc.model.unknown": instead("/ModelMetadata", lambda message: _NOWHERE.encode() in message, b""),
    "grpc.model.unknown-version": instead("/ModelMetadata", lambda message: _NO_VERSION.encode() in message, b""),
    "grpc.model.unknown.code": instead(
        "/ModelMetadata", lambda message: _NOWHERE.encode() in message, Refused("no", "INVALID_ARGUMENT")
    ),
    "grpc.model.config": edited("ModelConfig", lambda told: told.config.input.pop()),
    "grpc.model.statistics": edited("ModelStatistics", lambda told: told.model_stats.pop()),
    "grpc.model.index": edited("RepositoryIndex", lambda told: told.models.pop()),
}
INFERENCE: dict[str, Change] = {
    "grpc.infer.typed": edited(
        "ModelInfer", _values, lambda r: r.model_name == _FP32 and not r.raw_input_contents and not _typed_row(r)
    ),
    "grpc.infer.raw-out": edited("ModelInfer", _typed_out, lambda r: r.model_name == _FP32 and not _bits(r)),
    "grpc.infer.model-name": edited("ModelInfer", _set(model_name="another"), _model(_FP32)),
    "grpc.infer.id": edited("ModelInfer", lambda told: _set(id=told.id.encode("ascii", "replace").decode())(told)),
    "grpc.infer.versioned": edited("ModelInfer", _set(model_version="7"), lambda r: bool(r.model_version)),
    "grpc.infer.several-inputs": instead(
        "/ModelInfer", infers(lambda r: [one.name for one in r.inputs] == ["b", "a"]), Refused("order")
    ),
    "grpc.infer.scalar": edited("ModelInfer", lambda told: told.outputs[0].shape.append(1), _model("oip-scalar")),
    "grpc.infer.rows-alone": edited("ModelInfer", _rotated, lambda r: list(r.inputs[0].shape) == [5, 4]),
    "grpc.infer.at-once": edited("ModelInfer", _values, lambda r: r.model_name == _FP32 and _first(r) > 100),
    "grpc.infer.large": instead("/ModelInfer", infers(_large), Refused("large", "RESOURCE_EXHAUSTED")),
    "grpc.infer.left": _left,
    "grpc.infer.stream": edited("ModelStreamInfer", _set(error_message="no")),
    "grpc.infer.no-text": edited("ModelInfer", _last_byte, _no_text),
    "grpc.infer.parameters": instead("/ModelInfer", infers(lambda r: bool(r.parameters)), Refused("parameters")),
    "grpc.outputs.only": edited("ModelInfer", _one_more, _of("same")),
    "grpc.outputs.order": instead("/ModelInfer", infers(_of("same", "twice")), Refused("order")),
}
REFUSALS: dict[str, Change] = {
    f"grpc.refusal.{case.name}": instead("/ModelInfer", _case(case.name), oip.ModelInferResponse())
    for case in refusals._CASES
}
ERRORS: dict[str, Change] = {
    "grpc.error.callers": instead("/ModelInfer", _case("short-raw"), Refused("ours", "INTERNAL")),
    "grpc.error.not-found": instead("/ModelInfer", _case("unknown-model"), Refused("no", "INVALID_ARGUMENT")),
    "grpc.error.text": instead("/ModelInfer", _case("short-raw"), Refused("")),
    "grpc.error.good-after-bad": _tired,
}
FAMILIES: dict[frozenset[str], Change] = {
    frozenset(f"grpc.bits.{name.lower()}" for name in DATATYPES): edited("ModelInfer", _last_byte, _bits),
    frozenset(f"grpc.typed.{name.lower()}" for name in FIELDS): edited("ModelInfer", _last_byte, _typed_row),
}
# What nothing else works without.
GROUND: dict[str, Change] = {
    "grpc.infer.raw": edited("ModelInfer", _values, lambda r: r.model_name == _FP32 and bool(r.raw_input_contents)),
    "grpc.infer.same": edited("ModelInfer", _values, lambda r: r.model_name == _FP32 and bool(r.raw_input_contents)),
}
