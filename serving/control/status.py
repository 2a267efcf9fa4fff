"""The one table from what went wrong to an HTTP status, for those who administer."""

from __future__ import annotations

from collections.abc import Mapping

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

# A test walks the error tree and requires an entry for each class.
STATUS: Mapping[type[ServingError], int] = {
    ServingError: 500,
    BadRequest: 400,
    UnknownModel: 404,
    UnknownEntity: 404,
    InUse: 409,
    NotPermitted: 403,
    TokenMissing: 401,
    TooLarge: 413,
    # What was asked for was understood, and the version is at fault: asked again it would be refused again.
    ModelUnservable: 422,
    Unavailable: 503,
    Overloaded: 503,
    WouldBeLate: 503,
    NotReady: 503,
    FeaturesAway: 503,
    ReplicaLost: 503,
    DeadlineExceeded: 504,
    ModelFailed: 500,
    Poisonous: 500,
    ConfigInvalid: 500,
    StreamRefused: 503,
}


def status_of(error: ServingError) -> int:
    """The status of an error's nearest class in the table."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)
