"""What the control app needs of the session it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


class AskSession(Protocol):
    """Asks the supervisor; `what` is "models", "pools", "load", "unload" or "health"."""

    async def __call__(self, what: str, **facts: Any) -> Mapping[str, Any]:  # noqa: ANN401 - whatever JSON can say
        """What it answered.

        Raises:
            ServingError: why it was refused; nothing has changed then.
        """


@dataclass(frozen=True, slots=True)
class ControlOptions:
    """`host` is what the server is bound to; `features_url` "" has no feature store; `views` is the configuration's."""

    host: str
    token: str
    features_url: str = ""
    views: Mapping[str, Any] | None = None
