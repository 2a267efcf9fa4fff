"""A ModelInferRequest on its way to the request path, from a call of its own or from a stream of them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar

import orjson

from serving.edge.binary_elements import string_steps
from serving.edge.grpc.call_head import CallHead
from serving.edge.grpc.codec import Decoded
from serving.edge.grpc.edge import GrpcEdge
from serving.errors import ServingError
from serving.inference import Caller, Request

Made = TypeVar("Made")


def request_of(decoded: Decoded, head: CallHead, caller: Caller, received_at: float, spent_s: float) -> Request:
    """The request as the request path takes it; `spent_s` of its call's time were over when its message was there."""
    asked = decoded.asked
    request = Request(asked.model, decoded.tensors, caller, received_at, version=asked.version)
    request.key = head.key
    request.pinned = head.pinned
    request.context = head.context
    request.priority = asked.priority
    request.timeout_s = _allowed_s(head.timeout_s, asked.timeout_s, spent_s)
    if asked.id:
        request.id_json = orjson.dumps(asked.id)
    return request


def hand_over(edge: GrpcEdge, request: Request, decoded: Decoded, failed: Callable[[ServingError], None]) -> None:
    """Have the request accepted: at once, or where it has many strings after these were looked at in turns.

    `failed` hears what is wrong with them.
    """
    if decoded.unchecked:
        edge.turns.add(_checking(edge, request, decoded), failed, lambda: not request.waiting)
    else:
        request.accepted_at = edge.clock()
        edge.predictions.accept(request)


def in_turns(
    steps: Generator[None, None, Made], then: Callable[[Made], None]
) -> Generator[None, None, Callable[[], None]]:
    """The steps of a job of `Turns` that ends with `then`, called with what they make."""
    made = yield from steps
    return lambda: then(made)


def _checking(edge: GrpcEdge, request: Request, decoded: Decoded) -> Generator[None, None, Callable[[], None]]:
    for tensor, count in decoded.unchecked:
        yield from string_steps(tensor.name, count, tensor.data, edge.limits.max_string_bytes)
    return lambda: hand_over(edge, request, decoded._replace(unchecked=()), lambda _: None)


def _allowed_s(call_s: float | None, request_s: float | None, spent_s: float) -> float | None:
    """The shorter of what the call and what the request may take; None where neither says."""
    if call_s is None:
        return request_s
    left_s = call_s - spent_s
    return left_s if request_s is None else min(left_s, request_s)
