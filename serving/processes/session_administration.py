"""A gateway worker's way to its session: what edges ask about all workers, and order, is asked of the supervisor."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from serving.control.auth import bearer_refusal
from serving.errors import BadRequest, NotPermitted, NotReady, TokenMissing
from serving.inference import VersionKey
from serving.processes.asking import Ask, Facts
from serving.registry import staging
from serving.request_path.administration import IndexEntry, LoadOrder, VersionUsage
from serving.request_path.variants import Variants
from serving.telemetry.log import LogSettings
from serving.telemetry.snapshot import load_usage
from serving.telemetry.usage import Usage

_OFF = (
    "models are loaded and unloaded, and the log is changed, on this port only with http.repository_api: token; "
    "set it, or use the control API (sluice models load)"
)

_VALUES_OFF = (
    "return_features shows stored values of entities, on this port only with http.return_features: token; set it, or "
    "ask for feature_status, which needs no token"
)


class SessionAdministration:
    """See `serving.request_path.administration`.

    `token` is "" where nothing can be changed here, `values_token` where no stored value is shown.
    """

    def __init__(self, variants: Variants, root: Path | None, token: str, values_token: str = "") -> None:
        self._variants = variants
        self._root = root
        self._token = token
        self._values_token = values_token
        self._ask: Ask = _nobody

    def may_ask(self, ask: Ask) -> None:
        """From now on the session can be asked."""
        self._ask = ask

    @property
    def open(self) -> bool:
        """See `Administration.open`."""
        return bool(self._token)

    def permit(self, authorization: str) -> None:
        """See `Administration.permit`."""
        _let_in(self._token, authorization, _OFF)

    def permit_values(self, authorization: str) -> None:
        """See `Administration.permit_values`."""
        _let_in(self._values_token, authorization, _VALUES_OFF)

    async def statistics(self, model: str, version: int | None) -> Sequence[VersionUsage]:
        """See `Administration.statistics`: every worker is asked, so that nothing that was answered is missing."""
        keys = self._keys(model, version)
        told = await self._ask("statistics", model=model)
        # In a thread: of a thousand versions it is much.
        used = await asyncio.to_thread(load_usage, told["usage"])
        return [VersionUsage(key, used.get(key, Usage())) for key in keys]

    async def index(self) -> Sequence[IndexEntry]:
        """See `Administration.index`."""
        return [IndexEntry(*entry) for entry in (await self._ask("index"))["entries"]]

    async def load(self, order: LoadOrder) -> None:
        """See `Administration.load`: files are written here, since they are too much for the way to the supervisor."""
        if not order.files:
            await self._ask("repository_load", model=order.model, config=order.config, staged="")
            return
        if self._root is None:
            raise BadRequest("this session has no model repository to load into; start it with --models DIR")
        staged = await asyncio.to_thread(staging.stage, self._root, order.model, order.files)
        try:
            await self._ask("repository_load", model=order.model, config=order.config, staged=staged)
        finally:
            await asyncio.to_thread(staging.discard, self._root, staged)

    async def unload(self, model: str) -> None:
        """See `Administration.unload`."""
        await self._ask("repository_unload", model=model)

    async def log_settings(self) -> LogSettings:
        """See `Administration.log_settings`."""
        return LogSettings(**await self._ask("log"))

    async def change_log(self, settings: LogSettings) -> None:
        """See `Administration.change_log`."""
        await self._ask("change_log", settings=asdict(settings))

    def _keys(self, model: str, version: int | None) -> list[VersionKey]:
        variants = self._variants
        if version is not None:
            return [variants.routed(model, version)]
        models = [model] if model else variants.models()
        return [VersionKey(name, number) for name in models for number in variants.versions(name)]


async def _nobody(what: str, **facts: object) -> Facts:
    del what, facts
    raise NotReady("this worker cannot ask its session yet; try again in a moment")


def _let_in(token: str, authorization: str, off: str) -> None:
    """Raise where there is no token for anybody, or another one than this."""
    if not token:
        raise NotPermitted(off)
    refusal = bearer_refusal(token, authorization)
    if refusal:
        raise TokenMissing(refusal)
