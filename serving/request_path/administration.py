"""What an edge may ask of the whole session: statistics, the repository of models, the log; edges render it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from serving.errors import NotReady
from serving.inference import VersionKey
from serving.telemetry.log import LogSettings
from serving.telemetry.usage import Usage

State = Literal["READY", "LOADING", "UNAVAILABLE"]


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """A version that is served, or that the repository has; `reason` says why it is not ready, where that is known."""

    model: str
    version: str
    state: State
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LoadOrder:
    """A model to load: from the repository, or of `files` by their path below the model's folder (`1/model.onnx`).

    `config` is a model configuration in JSON, "" where the caller sent none.
    """

    model: str
    config: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VersionUsage:
    """What one version did in all workers of the session."""

    key: VersionKey
    usage: Usage


class Administration(Protocol):
    """Every edge asks the session through this; all calls are made on the loop's thread."""

    @property
    def open(self) -> bool:
        """Whether anything can be changed on the ports of predictions, with the token."""

    def permit(self, authorization: str) -> None:
        """Let the sender of an Authorization header (or its gRPC metadata) change something.

        Raises:
            NotPermitted: nothing can be changed here.
            TokenMissing: the token is missing, or another one.
        """

    def permit_values(self, authorization: str) -> None:
        """Let the sender of an Authorization header see stored values of entities.

        Raises:
            NotPermitted: they are not shown here to anybody.
            TokenMissing: the token is missing, or another one.
        """

    async def statistics(self, model: str, version: int | None) -> Sequence[VersionUsage]:
        """What versions did in all workers until now; "" is every model, None every version.

        Raises:
            UnknownModel: no such model, or no such version of it.
            NotReady: the session cannot be asked now.
        """

    async def index(self) -> Sequence[IndexEntry]:
        """Every version that is served or in the repository, by model and version.

        Raises:
            NotReady: the session cannot be asked now.
        """

    async def load(self, order: LoadOrder) -> None:
        """Load a model; returns when it can be asked for. Ask `permit` first.

        Raises:
            ServingError: why it was refused; nothing has changed then.
        """

    async def unload(self, model: str) -> None:
        """Let go every version of a model. Ask `permit` first.

        Raises:
            ServingError: why it was refused; nothing has changed then.
        """

    async def log_settings(self) -> LogSettings:
        """What the session's gateway workers log.

        Raises:
            NotReady: the session cannot be asked now.
        """

    async def change_log(self, settings: LogSettings) -> None:
        """Have every gateway worker log so, those started later too. Ask `permit` first.

        Raises:
            NotReady: the session cannot be asked now.
        """


class _Nobody:
    """A gateway without a session: nothing can be asked, nothing changed."""

    open = False

    def permit(self, authorization: str) -> None:
        """See `Administration`."""
        del authorization
        raise _no_session()

    def permit_values(self, authorization: str) -> None:
        """See `Administration`."""
        del authorization
        raise _no_session()

    async def statistics(self, model: str, version: int | None) -> Sequence[VersionUsage]:
        """See `Administration`."""
        del model, version
        raise _no_session()

    async def index(self) -> Sequence[IndexEntry]:
        """See `Administration`."""
        raise _no_session()

    async def load(self, order: LoadOrder) -> None:
        """See `Administration`."""
        del order
        raise _no_session()

    async def unload(self, model: str) -> None:
        """See `Administration`."""
        del model
        raise _no_session()

    async def log_settings(self) -> LogSettings:
        """See `Administration`."""
        raise _no_session()

    async def change_log(self, settings: LogSettings) -> None:
        """See `Administration`."""
        del settings
        raise _no_session()


def _no_session() -> NotReady:
    return NotReady("this gateway cannot ask its session yet; try again in a moment")


NOBODY: Administration = _Nobody()
