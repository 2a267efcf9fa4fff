"""A session made of canned answers, for tests of what edges ask of one."""

from __future__ import annotations

from collections.abc import Sequence

from serving.errors import InUse, NotPermitted, TokenMissing, UnknownModel
from serving.inference import VersionKey
from serving.request_path.administration import IndexEntry, LoadOrder, VersionUsage
from serving.telemetry.log import LogSettings
from serving.telemetry.usage import Runs, Usage

TOKEN = "a token of sixteen characters"  # noqa: S105 - of tests
USAGE = Usage(
    answered=3,
    total_s=0.006,
    queue_s=0.0003,
    input_s=0.0006,
    infer_s=0.004,
    output_s=0.0002,
    failed=1,
    failed_s=0.5,
    last_at=1_700_000_000.25,
    runs={2: Runs(1, 0.0004, 0.001, 0.0001), 4: Runs(1, 0.0002, 0.002, 0.0001)},
)


class FakeAdministration:
    """Serves `mlp` in version 3; remembers what it was told to do. `open` says whether the token opens anything."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.open = is_open
        self.loaded: list[LoadOrder] = []
        self.unloaded: list[str] = []
        self.log = LogSettings()

    def permit(self, authorization: str) -> None:
        """Only with `TOKEN`, and only if open."""
        if not self.open:
            raise NotPermitted("only with http.repository_api: token")
        if authorization != f"Bearer {TOKEN}":
            raise TokenMissing("send the token")

    def permit_values(self, authorization: str) -> None:
        """As `permit`."""
        if not self.open:
            raise NotPermitted("only with http.return_features: token")
        if authorization != f"Bearer {TOKEN}":
            raise TokenMissing("send the token")

    async def statistics(self, model: str, version: int | None) -> Sequence[VersionUsage]:
        """The canned usage."""
        if model not in ("", "mlp") or version not in (None, 3):
            raise UnknownModel(f"unknown model {model!r}")
        return [VersionUsage(VersionKey("mlp", 3), USAGE)]

    async def index(self) -> Sequence[IndexEntry]:
        """One version that is ready, and one that is not."""
        return [IndexEntry("mlp", "3", "READY"), IndexEntry("other", "1", "UNAVAILABLE", "not loaded")]

    async def load(self, order: LoadOrder) -> None:
        """Remember it."""
        self.loaded.append(order)

    async def unload(self, model: str) -> None:
        """Remember it; `mlp` is the last one."""
        if model == "mlp":
            raise InUse("model 'mlp' is the last one of this session")
        self.unloaded.append(model)

    async def log_settings(self) -> LogSettings:
        """As they are now."""
        return self.log

    async def change_log(self, settings: LogSettings) -> None:
        """Remember them."""
        self.log = settings
