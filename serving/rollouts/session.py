"""What a controller of rollouts needs of the session whose traffic it shares out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Session(Protocol):
    """Asks the supervisor of the session."""

    async def __call__(self, what: str, **facts: Any) -> Mapping[str, Any]:  # noqa: ANN401 - whatever JSON can say
        """What it answered.

        Raises:
            ServingError: why it was refused; nothing has changed then.
        """
