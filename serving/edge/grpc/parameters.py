"""The parameters of a request, an input or an output: plain values, and what of them is refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from serving.errors import BadRequest
from serving.protocol.open_inference import InferParameter

Parameters = Mapping[str, object]

_SEQUENCE = frozenset(("sequence_id", "sequence_start", "sequence_end"))
# Whether an empty response may end a request's responses: here each request has one, which is its last. perf_analyzer
# always sends it.
_NEEDLESS = "triton_enable_empty_final_response"
_SHARED_MEMORY = "shared_memory_"
# More would be longer than any clock here counts; 0 stands for no time-out of its own.
_MAX_TIMEOUT_US = 10**15
_MAX_PRIORITY = 2**64 - 1
_SHOWN = 40


def values_of(parameters: Mapping[str, InferParameter]) -> Parameters:
    """Names and values; one without a value has None."""
    return {name: _value(parameter) for name, parameter in parameters.items()}


def refuse_reserved(names: Iterable[str]) -> None:
    """Raise BadRequest for a parameter of a request that asks for what is not served."""
    for name in names:
        if name in _SEQUENCE:
            raise BadRequest(f"parameter {name!r} is not served: models here keep no state between requests")
        if name.startswith("triton_") and name != _NEEDLESS:
            raise BadRequest(f"unknown parameter {name[:_SHOWN]!r}; names that begin with triton_ are reserved")


def refuse_shared_memory(names: Iterable[str], where: str) -> None:
    """Raise BadRequest where a tensor is said to be in shared memory."""
    if any(name.startswith(_SHARED_MEMORY) for name in names):
        raise BadRequest(f"{where}: shared memory is not served; send the bytes in raw_input_contents")


def timeout_s(parameters: Parameters) -> float | None:
    """What the request may take by its own word (schedule policy extension: microseconds), None where it says nothing.

    Raises:
        BadRequest: it is no number of microseconds.
    """
    timeout_us = _whole(parameters, "timeout", _MAX_TIMEOUT_US, "in microseconds")
    return timeout_us / 1_000_000 if timeout_us else None


def priority(parameters: Parameters) -> int:
    """The request's priority (schedule policy extension); 0 is the model's default, 1 the highest.

    Raises:
        BadRequest: it is no whole number.
    """
    return _whole(parameters, "priority", _MAX_PRIORITY, "0 is the default, 1 the highest")


def _value(parameter: InferParameter) -> object:
    chosen = parameter.WhichOneof("parameter_choice")
    return None if chosen is None else getattr(parameter, chosen)


def _whole(parameters: Parameters, name: str, most: int, what: str) -> int:
    value = parameters.get(name, 0)
    if type(value) is not int or not 0 <= value <= most:
        shown = str(value)[:_SHOWN]
        raise BadRequest(f"parameter {name!r} must be a whole number of 0 or more ({what}), got {shown}")
    return value
