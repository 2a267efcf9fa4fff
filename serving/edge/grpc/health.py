"""grpc.health.v1: the server, its service, and each model by its name."""

from __future__ import annotations

from serving.edge.grpc.edge import GrpcEdge
from serving.edge.grpc.extent import parsed_plain
from serving.edge.grpc.metadata import model_is_ready, ready
from serving.edge.grpc.rendering import framed
from serving.edge.grpc.stream_call import StreamCall
from serving.errors import BadRequest, UnknownModel
from serving.inference import Buffer
from serving.protocol.health import HealthCheckRequest, HealthCheckResponse

_SERVERS = frozenset(("", "inference.GRPCInferenceService"))
_SERVING = HealthCheckResponse.SERVING
_NOT_SERVING = HealthCheckResponse.NOT_SERVING
_UNKNOWN = HealthCheckResponse.SERVICE_UNKNOWN


def check(edge: GrpcEdge, asked: HealthCheckRequest) -> HealthCheckResponse:
    """The status now; raises UnknownModel for what is neither a service nor a model, as the protocol asks for."""
    return HealthCheckResponse(status=_status(edge, asked.service))


class Watch:
    """The conversation: the status at once, and again whenever it has changed."""

    endless = True
    full = False
    idle = True

    def __init__(self, call: StreamCall, edge: GrpcEdge) -> None:
        self._call = call
        self._edge = edge
        self._service: str | None = None
        self._told: HealthCheckResponse.ServingStatus | None = None

    def hears(self, message: Buffer) -> None:
        """What to watch; there is one such message."""
        self._call.release(len(message))
        if self._service is not None:
            raise BadRequest("Watch takes one message")
        self._service = parsed_plain(HealthCheckRequest, message).service
        self.sweep()

    def sweep(self) -> None:
        """Tell a status that was not told yet."""
        if self._service is None:
            return
        try:
            status = _status(self._edge, self._service)
        except UnknownModel:
            # The protocol keeps the call open: the model may be loaded later.
            status = _UNKNOWN
        if status != self._told:
            self._told = status
            self._call.say(framed(HealthCheckResponse(status=status).SerializeToString()))

    def left(self) -> None:
        """Nothing is owed."""


def _status(edge: GrpcEdge, service: str) -> HealthCheckResponse.ServingStatus:
    if service in _SERVERS:
        return _SERVING if ready(edge) else _NOT_SERVING
    if not model_is_ready(edge, service, None):
        return _NOT_SERVING
    return _NOT_SERVING if edge.draining else _SERVING
