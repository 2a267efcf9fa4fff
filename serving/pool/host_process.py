"""All that a replica's process owns, in the order in which it begins and ends; knows nothing of Ray."""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from serving.errors import ConfigInvalid
from serving.inference import VersionKey
from serving.pool.health import Health
from serving.pool.model_host import ModelHost, OpenModel
from serving.pool.pool_spec import PoolSpec
from serving.pool.registration import Registration
from serving.pool.replica_load import ReplicaLoad
from serving.pool.secret import read_secret
from serving.pool.slot_search import most_slots
from serving.pool.wire_options import WireOptions
from serving.pool.wire_server import WireServer
from serving.runtime import freed_memory
from serving.runtime.source import ModelSource
from serving.state.member import Member, MemberVersion

log = logging.getLogger(__name__)

# The address of the node that a replica runs on.
HOST = "SLUICE_POOL_HOST"


class HostProcess:
    """Hosts a pool's versions, answers over the tensor stream, and keeps itself registered."""

    def __init__(self, spec: PoolSpec, replica: str) -> None:
        self._spec = spec
        self._replica = replica
        self.host = ModelHost(_named(spec.open_model))
        self.health = Health(self.host, hung_after_s=spec.hung_after_s)
        self._sources: Mapping[VersionKey, ModelSource] | None = None
        self._server: WireServer | None = None
        self._registration: Registration | None = None

    def host_these(self, sources: Sequence[ModelSource]) -> None:
        """These versions and no others: what is new is loaded, what is gone unloaded; the first time everything starts.

        Raises:
            ConfigInvalid: no secret, or nowhere to listen.
        """
        with freed_memory.kept_little():
            if self._sources is None:
                self.start(sources)
            else:
                wanted = {source.key: source for source in sources}
                for key in self._sources.keys() - wanted.keys():
                    self.host.unload(key)
                new = [source for key, source in wanted.items() if self._sources.get(key) != source]
                self.host.load(new, self._spec.load_threads)
            # No collection: nothing here refers to itself, and with Ray in the process it holds every thread for 40 to
            # 100 ms. What loading took beside the model goes back, too: as much again.
            freed_memory.give_back()
        self._sources = {source.key: source for source in sources}

    def start(self, sources: Sequence[ModelSource]) -> None:
        """Return when every version is warm or refused, the stream listens and the registration runs.

        Raises:
            ConfigInvalid: no secret, or nowhere to listen.
        """
        spec = self._spec
        secret = read_secret(spec.secret_path) if spec.stream else b""
        self.host.load(sources, spec.load_threads)
        if not spec.stream:
            return
        server = self._wire_server(secret)
        server.start()
        self._server = server
        if spec.control_url:
            self._registration = Registration(spec.control_url, spec.name, self.member)
            self.host.on_change(self._registration.changed)
            self._registration.start()

    def member(self) -> Member:
        """Its record for the control Redis, as of now."""
        address = "" if self._server is None else self._server.addresses[0]
        hosted = [
            MemberVersion(key.model, key.version, ready=True, batchable=facts.batchable, note=facts.note)
            for key, facts in self.host.catalogue().items()
        ]
        refused = [
            MemberVersion(key.model, key.version, ready=False, batchable=False, note=text)
            for key, text in self.host.refused().items()
        ]
        return Member(self._replica, address, versions=(*hosted, *refused))

    def load(self) -> ReplicaLoad:
        """What those who scale the pool are told of this replica; without a stream nothing is known."""
        return ReplicaLoad(0.0, None) if self._server is None else self._server.load()

    def leave(self) -> None:
        """Deregister, let gateways take their answers, then end the stream; the order is what loses no request."""
        if self._registration is not None:
            self._registration.leave()
        if self._server is None:
            return
        if not self._server.drain(self._spec.grace_s):
            log.warning("replica %s: gateways held on for %.0f s", self._replica, self._spec.grace_s)
        self._server.stop()

    def _wire_server(self, secret: bytes) -> WireServer:
        spec = self._spec
        # Once, before anybody asks: later it would say as much about who asks as about the model.
        runs = spec.slots or self.host.slots_worth(most_slots(spec.num_cpus))
        options = WireOptions(parallel_runs=runs, tells_runs=not spec.slots, look_s=spec.look_us / 1e6)
        return WireServer(self.host, secret, [self._listen_on()], options)

    def _listen_on(self) -> str:
        if not self._spec.socket_dir:
            return f"tcp:{self._spec.host or os.environ.get(HOST) or '127.0.0.1'}:0"
        return f"unix:{Path(self._spec.socket_dir) / self._replica}.sock"


def _named(target: str) -> OpenModel:
    module, _, attribute = target.partition(":")
    try:
        found: object = importlib.import_module(module)
        for name in attribute.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigInvalid(f"open_model {target!r} names nothing; write module:callable") from error
    return cast("OpenModel", found)
