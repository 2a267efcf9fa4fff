"""Models loaded and unloaded as the protocol's repository extension has it, by the orders of the control API."""

from __future__ import annotations

import asyncio
from pathlib import Path

from serving.errors import BadRequest, InUse, ServingError, UnknownModel
from serving.inference import VersionKey
from serving.processes.model_wishes import ModelWishes, wishes_of
from serving.processes.session_versions import SessionVersions
from serving.registry import staging
from serving.registry.repository import Listing, Repository
from serving.routing.split import STABLE


class ModelOrders:
    """One order after another; `versions` carries out the steps. `root` is the repository, None where there is none."""

    def __init__(self, versions: SessionVersions, root: Path | None) -> None:
        self._versions = versions
        self._root = root
        self._ordering = asyncio.Lock()

    def listing(self) -> Listing | None:
        """The repository as it is now; None where there is none. Reads the disk."""
        return Repository(self._root).listing() if self._root else None

    async def load(self, model: str, config: str, staged: str) -> None:
        """Load what the configuration wants, or the highest version; `staged` are files to adopt first, "" for none.

        Raises:
            ServingError: why it was refused; what was loaded or written for it is gone again.
        """
        root = self._known_root()
        wishes = wishes_of(model, config)
        async with self._ordering:
            adopted = await asyncio.to_thread(staging.adopt, root, model, staged) if staged else []
            try:
                await self._load(model, wishes, adopted)
            except ServingError:
                await asyncio.to_thread(staging.remove, root, model, adopted)
                raise

    async def unload(self, model: str) -> None:
        """Let go of every version.

        Raises:
            UnknownModel: it is not served.
            InUse: it is the last model of the session.
        """
        async with self._ordering:
            await self._versions.unload(model, None, force=True)

    async def _load(self, model: str, wishes: ModelWishes, adopted: list[int]) -> None:
        if adopted and not wishes.names_versions:
            wanted = sorted(adopted, reverse=True)
        else:
            wanted = wishes.versions_of(model, await asyncio.to_thread(self._present, model))
        leaving = await self._leaving(model, wanted) if wishes.names_versions else []
        loaded: list[int] = []
        try:
            for version in wanted:
                answer = await self._versions.load(VersionKey(model, version))
                loaded += [version] if answer["changed"] else []
            await self._versions.limit(model, wishes.limits())
        except ServingError:
            await self._take_back(model, loaded)
            raise
        for version in leaving:
            await self._versions.unload(model, version, force=True)

    async def _leaving(self, model: str, wanted: list[int]) -> list[int]:
        """Served versions that the configuration does not want; refused before anything is done."""
        route = (await self._versions.table()).routes.get(model)
        if route is None:
            return []
        leaving = [served.version for served in route.served if served.version not in wanted]
        for split in route.splits:
            if split.version in leaving and split.variant == STABLE:
                raise InUse(
                    f"version {split.version} of model {model!r} answers every request that names no version; "
                    "include it in version_policy, or unload the model first"
                )
        return leaving

    async def _take_back(self, model: str, loaded: list[int]) -> None:
        for version in loaded:
            try:
                await self._versions.unload(model, version, force=True)
            except ServingError:
                # It stays loaded beside the others, which harms nobody; the first error is what is told.
                continue

    def _present(self, model: str) -> list[int]:
        listing = Repository(self._known_root()).listing()
        present = [found.key.version for found in listing.of(model)]
        if present:
            return present
        for problem in listing.problems:
            if problem.model == model:
                raise problem.error
        known = sorted({found.key.model for found in listing.versions})[:20]
        raise UnknownModel(f"the repository has no model {model!r}; it has {known}")

    def _known_root(self) -> Path:
        if self._root is None:
            raise BadRequest("this session has no model repository to load from; start it with --models DIR")
        return self._root
