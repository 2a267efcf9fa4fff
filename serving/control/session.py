"""What the control app needs of the session it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from serving.features.feature_view import FeatureView


class AskSession(Protocol):
    """Asks the supervisor; `what` is one of those that `processes.session_orders` answers."""

    async def __call__(self, what: str, **facts: Any) -> Mapping[str, Any]:  # noqa: ANN401 - whatever JSON can say
        """What it answered.

        Raises:
            ServingError: why it was refused; nothing has changed then.
        """


@dataclass(frozen=True, slots=True)
class ControlOptions:
    """`host` is what the server is bound to.

    Rows of `views` are in the Redis of `features_url`, rollouts in that of `control_url`, where there is one.
    """

    host: str
    token: str
    features_url: str = ""
    views: Mapping[str, FeatureView] = field(default_factory=dict)
    control_url: str = ""
