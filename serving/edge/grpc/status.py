"""The one table from what went wrong to a gRPC status."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from serving.errors import (
    BadRequest,
    ConfigInvalid,
    DeadlineExceeded,
    FeaturesAway,
    InUse,
    ModelFailed,
    ModelUnservable,
    NotPermitted,
    NotReady,
    Overloaded,
    Poisonous,
    ReplicaLost,
    ServingError,
    StreamRefused,
    TokenMissing,
    TooLarge,
    Unavailable,
    UnknownEntity,
    UnknownModel,
    WouldBeLate,
)


class Code(IntEnum):
    """The status codes of gRPC that are answered here."""

    OK = 0
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


# A test walks the error tree and requires an entry for each class. What may be tried again is UNAVAILABLE, which
# clients' retry policies know; RESOURCE_EXHAUSTED is gRPC's own word for a message over its limit.
STATUS: Mapping[type[ServingError], Code] = {
    ServingError: Code.INTERNAL,
    BadRequest: Code.INVALID_ARGUMENT,
    UnknownModel: Code.NOT_FOUND,
    InUse: Code.FAILED_PRECONDITION,
    NotPermitted: Code.PERMISSION_DENIED,
    TokenMissing: Code.UNAUTHENTICATED,
    UnknownEntity: Code.NOT_FOUND,
    TooLarge: Code.RESOURCE_EXHAUSTED,
    Unavailable: Code.UNAVAILABLE,
    Overloaded: Code.UNAVAILABLE,
    WouldBeLate: Code.UNAVAILABLE,
    NotReady: Code.UNAVAILABLE,
    FeaturesAway: Code.UNAVAILABLE,
    ReplicaLost: Code.UNAVAILABLE,
    DeadlineExceeded: Code.DEADLINE_EXCEEDED,
    ModelFailed: Code.INTERNAL,
    Poisonous: Code.INTERNAL,
    ModelUnservable: Code.INTERNAL,
    ConfigInvalid: Code.INTERNAL,
    StreamRefused: Code.UNAVAILABLE,
}


def code_of(error: ServingError) -> Code:
    """The status of an error's nearest class in the table."""
    for kind in type(error).__mro__:
        if kind in STATUS:
            return STATUS[kind]
    return Code.INTERNAL
