"""Everything that can go wrong with a prediction, in the words of this product.

ServingError
├── BadRequest              the caller must change the request
│   ├── UnknownModel        no such model, or no such version of it
│   ├── InUse               a version that requests still need cannot be unloaded
│   ├── NotPermitted        what this port does not do for anybody
│   ├── TokenMissing        what only the owner of the session's token may do
│   ├── UnknownEntity       no feature row of it, where the model answers none without
│   └── TooLarge            more bytes or rows than this gateway ever takes
├── Unavailable             try again later, or elsewhere
│   ├── Overloaded          a queue or a budget is full
│   │   └── WouldBeLate     by what runs take, it cannot be answered in time
│   ├── NotReady            no replica has the version warm
│   ├── FeaturesAway        features cannot be read, where the model answers none without
│   └── ReplicaLost         the replica went away while it held the batch
├── DeadlineExceeded        the answer would have come too late
├── ModelFailed             the model raised, or answered nonsense
│   └── Poisonous           this row crashed two replicas and is refused for a while
├── ModelUnservable         a version of the repository that cannot be served
├── ConfigInvalid           the configuration cannot be used
└── StreamRefused           the two ends of a tensor stream do not fit together
"""

from __future__ import annotations

from collections.abc import Iterator


class ServingError(Exception):
    """What callers are told: `reason` is stable and fit for a metric label, the text is for people."""

    reason = "serving_error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadRequest(ServingError):
    """The message names the field and what would be right."""

    reason = "bad_request"


class UnknownModel(BadRequest):
    """The message lists what is known."""

    reason = "unknown_model"


class InUse(BadRequest):
    """The message says who needs it, and what to do first."""

    reason = "in_use"


class NotPermitted(BadRequest):
    """The message names the setting that allows it."""

    reason = "not_permitted"


class TokenMissing(BadRequest):
    """The message says how to send the token, and where it is found."""

    reason = "token_missing"


class UnknownEntity(BadRequest):
    """The message names the view and what identifies its rows."""

    reason = "unknown_entity"


class TooLarge(BadRequest):
    """The message gives the limit and the setting that changes it."""

    reason = "too_large"


class Unavailable(ServingError):
    """The same request may succeed a moment later; `retry_after_s` says when to try."""

    reason = "unavailable"

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Overloaded(Unavailable):
    """Refused at once, before any work was done for it."""

    reason = "overloaded"


class WouldBeLate(Overloaded):
    """There is room for it, but by what runs of its version take its time would be over before it was answered."""

    reason = "would_be_late"


class NotReady(Unavailable):
    """Nothing that lives can run this version now."""

    reason = "not_ready"


class FeaturesAway(Unavailable):
    """The store is away or late, or what it has is too old or of another form; the model allows no defaults."""

    reason = "features_away"


class ReplicaLost(Unavailable):
    """The connection ended with the batch unanswered; inference is idempotent, so it may run again.

    `started` tells whether the replica may have begun to run it, which makes its rows suspects of the crash.
    """

    reason = "replica_lost"

    def __init__(self, message: str, *, started: bool = True, retry_after_s: float = 1.0) -> None:
        super().__init__(message, retry_after_s)
        self.started = started


class DeadlineExceeded(ServingError):
    """The caller's time was up; its rows do not run if they have not started."""

    reason = "deadline_exceeded"


class ModelFailed(ServingError):
    """The model raised, or its answer does not fit what it was asked."""

    reason = "model_failed"


class Poisonous(ModelFailed):
    """These very bytes were present when two replicas crashed."""

    reason = "poisonous"


class ModelUnservable(ServingError):
    """Says which file, what is wrong with it and what to do."""

    reason = "model_unservable"


class ConfigInvalid(ServingError):
    """Names every wrong key with its value and what is permitted."""

    reason = "config_invalid"


class StreamRefused(ServingError):
    """Wrong secret, or versions of the tensor stream that do not overlap."""

    reason = "stream_refused"


def error_of(reason: str, message: str) -> ServingError:
    """The error that another process named by its reason; ModelFailed for one that this release does not know."""
    kind = next((kind for kind in _kinds(ServingError) if kind.reason == reason), ModelFailed)
    return kind(message)


def _kinds(root: type[ServingError]) -> Iterator[type[ServingError]]:
    yield root
    for kind in root.__subclasses__():
        yield from _kinds(kind)
