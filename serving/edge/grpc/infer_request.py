"""A ModelInferRequest as the request path takes it, from a call of its own or from a stream of them."""

from __future__ import annotations

from serving.edge.grpc.call_head import CallHead
from serving.edge.grpc.codec import Asked
from serving.edge.grpc.edge import GrpcEdge
from serving.inference import Caller, Request


def request_of(edge: GrpcEdge, message: bytes, head: CallHead, caller: Caller, spent_s: float) -> tuple[Request, Asked]:
    """The request in `message`, and what the encoder needs of it.

    `spent_s` is how much of the call's time was over when its message was complete.

    Raises:
        BadRequest, TooLarge: as `Codec.decode`.
    """
    received_at = edge.clock()
    asked, tensors = edge.codec.decode(message)
    request = Request(asked.model, tensors, caller, received_at, version=asked.version)
    request.key = head.key
    request.pinned = head.pinned
    request.timeout_s = _allowed_s(head.timeout_s, asked.timeout_s, spent_s)
    request.accepted_at = edge.clock()
    return request, asked


def _allowed_s(call_s: float | None, request_s: float | None, spent_s: float) -> float | None:
    """The shorter of what the call and what the request may take; None where neither says."""
    if call_s is None:
        return request_s
    left_s = call_s - spent_s
    return left_s if request_s is None else min(left_s, request_s)
