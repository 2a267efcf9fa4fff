"""Puts a gateway together: edge, request path, routing table and backends, all on the worker's one loop."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from serving.backends.backend import Backend
from serving.backends.pool_client import PoolClient
from serving.config.grpc_limits import grpc_limits
from serving.config.http_limits import http_limits
from serving.config.lifetimes import lifetimes
from serving.config.model_inputs import all_model_inputs
from serving.config.settings import Settings
from serving.deadline import LoopTimers
from serving.edge.grpc.server import GrpcServer
from serving.edge.http.server import HttpServer
from serving.edge.worker import Worker
from serving.errors import ModelUnservable
from serving.features.feast.hash_row import hash_rows
from serving.features.feature_view import FeatureView
from serving.features.read_budget import BudgetOptions
from serving.features.served_log.served_log import ServedLog
from serving.features.store.feature_reader import FeatureReader, StoreReader
from serving.features.store.node_reader import ReaderOptions
from serving.features.store.sources import Sources
from serving.features.store.store_address import parse_store
from serving.features.store.topology import feature_reader
from serving.inference import VersionKey
from serving.observation import Observer
from serving.processes.asking import Ask
from serving.processes.feature_figures import tell_figures
from serving.processes.gateway_batching import batching_of
from serving.processes.gateway_learning import GatewayLearning
from serving.processes.gateway_versions import GatewayVersions
from serving.processes.near_cache import NearCacheOfWorker, Stored
from serving.processes.pool_backends import PoolBackends, pools_of
from serving.processes.release import release
from serving.processes.served_log import served_log_of, tell_served_log
from serving.processes.session_administration import SessionAdministration
from serving.processes.session_plan import ServedModel
from serving.processes.session_table import session_table
from serving.processes.start_message import StartMessage
from serving.processes.worker_figures import WorkerFigures
from serving.request_path.look_ups import LookUps
from serving.request_path.predict import Predictor
from serving.request_path.read_plans import ReadPlans
from serving.routing.table import RouteTable, dump
from serving.routing.table_feed import TableFeed
from serving.telemetry.access_log import AccessLog, LineWriter
from serving.telemetry.catalogue import (
    BATCH_WINDOW_ROWS,
    CONNECTIONS,
    HEDGE_WINS,
    HEDGED_BATCHES,
    INFLIGHT_BYTES,
    LOOP_LAG,
    POOL_REPLICAS,
    POOL_SLOTS,
    VERSION_READY,
)
from serving.telemetry.recorder import Recorder
from serving.telemetry.watch import Watch, WatchedObserver

if TYPE_CHECKING:
    from serving.processes.tracing import Tracing
    from serving.state.members import Members


_AT_ONCE = 100


class Follower(Protocol):
    """What keeps a connection of its own."""

    async def stop(self) -> None:
        """End it."""


@dataclass(slots=True)
class Gateway:
    """What one worker serves; `http` and `grpc` accept connections once they are told to listen."""

    http: HttpServer
    grpc: GrpcServer
    predictor: Predictor
    backends: Mapping[str, Backend]
    feed: TableFeed
    recorder: Recorder
    versions: GatewayVersions
    learning: GatewayLearning
    administration: SessionAdministration
    figures: WorkerFigures
    followers: Sequence[Follower] = field(default_factory=tuple)
    near_cache: NearCacheOfWorker | None = None
    features: StoreReader | None = None
    served_log: ServedLog | None = None
    tracing: Tracing | None = None

    def ready(self) -> bool:
        """Every pool that a route leads to has lived and loaded what it can, and one still lives."""
        return self.predictor.ready()

    def refused(self) -> list[dict[str, str]]:
        """Versions that could not be loaded, or that the configured inputs do not fit, and why."""
        misfits = {v.key: v.plan.message for v in self.predictor.variants.all() if isinstance(v.plan, ModelUnservable)}
        known = [*(backend.refused() for backend in self.backends.values()), misfits]
        return [
            {"model": key.model, "version": str(key.version), "why": why}
            for refused in known
            for key, why in refused.items()
        ]

    def stats(self) -> Mapping[str, Any]:
        """What was counted since the worker began, and how full it is now."""
        recorder = self.recorder
        self.predictor.features.flush()
        hosted = [key for backend in self.backends.values() for key in backend.hosted()]
        recorder.serve((*hosted, *self._routed()))
        for key in hosted:
            recorder.measured(VERSION_READY, (key.model, str(key.version)), 1.0)
        for variant in self.predictor.variants.all():
            recorder.queue_rows(variant.key, variant.name, variant.batcher.waiting_rows)
            if variant.batcher.pace.runs:
                of = variant.key.model, str(variant.key.version), variant.name
                recorder.measured(BATCH_WINDOW_ROWS, of, variant.batcher.pace.window.most_rows)
        for name, backend in self.backends.items():
            if isinstance(backend, PoolClient):
                answering = [replica for replica in backend.replicas() if replica.state == "ready"]
                recorder.measured(POOL_REPLICAS, (name,), len(answering))
                self.figures.tell_least(recorder, name)
                recorder.measured(POOL_SLOTS, (name,), sum(replica.slots for replica in answering))
                if backend.hedges:
                    recorder.counted(HEDGED_BATCHES, (name,), backend.hedged_batches)
                    recorder.counted(HEDGE_WINS, (name,), backend.hedge_wins)
        self._tell_parts()
        recorder.copied(self.predictor.mirror.counts)
        self.figures.tell(recorder, self.predictor.variants.all())
        recorder.measured(LOOP_LAG, (), self.predictor.queues.lag_s)
        recorder.measured(CONNECTIONS, (), self.http.connections + self.grpc.connections)
        recorder.measured(INFLIGHT_BYTES, (), self.http.in_flight_bytes)
        return {**recorder.snapshot(), "estimates": self.learning.news()}

    def _tell_parts(self) -> None:
        """The figures of what only some sessions have."""
        if self.near_cache is not None:
            self.near_cache.tell(self.recorder)
        if self.served_log is not None:
            tell_served_log(self.served_log, self.recorder)
        if self.tracing is not None:
            self.tracing.tell(self.recorder)
        if self.features is not None:
            tell_figures(self.recorder, self.features.figures())

    def use_table(self, table: str) -> None:
        """Serve by this routing table if it is newer."""
        self.feed.offer(table.encode())

    async def obey(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """Load a version, let one go, tell what is hosted, how a model is batched, or what versions did until now."""
        if asked["what"] == "statistics":
            return {"usage": await self._usage(asked["model"])}
        if asked["what"] == "batching":
            variants = batching_of(self.predictor.variants.all(), asked["model"])
            return {"variants": variants, "loop_lag_s": self.predictor.queues.lag_s}
        if asked["what"] == "load":
            self.learning.loaded(ServedModel(**asked["served"]))
        answer = await self.versions.obey(asked)
        if asked["what"] == "unload":
            self.learning.unloaded(VersionKey(asked["model"], asked["version"]))
        return answer

    def may_ask(self, ask: Ask) -> None:
        """The session can be asked from now on."""
        self.administration.may_ask(ask)

    def on_condemned(self, tell: Callable[[str], None]) -> None:
        """Call `tell` with the fingerprint of each request that crashed replicas, in hexadecimal."""
        self.predictor.suspects.on_condemned(lambda fingerprint: tell(fingerprint.hex()))

    def condemn(self, fingerprint: str, remember_s: float) -> None:
        """Refuse for so long what crashed the replicas of another worker."""
        self.predictor.suspects.condemn(bytes.fromhex(fingerprint), remember_s)

    async def _usage(self, model: str) -> list[Any]:
        entries = []
        for number, entry in enumerate(self.recorder.dumped_usage(model), 1):
            entries.append(entry)
            # A thousand busy versions take milliseconds, in which nobody would be answered.
            if not number % _AT_ONCE:
                await asyncio.sleep(0)
        return entries

    async def drain(self, grace_s: float) -> None:
        """Answer what is in flight and have callers go elsewhere; over when all is answered, or the time."""
        self.predictor.mirror.stop()
        await asyncio.gather(self.http.drain(grace_s), self.grpc.drain(grace_s))
        if self.tracing is not None:
            # Before the last figures are told, which say what became of its spans.
            await self.tracing.stop()

    async def stop(self) -> None:
        """End every task and connection; drained before."""
        for follower in self.followers:
            await follower.stop()
        for backend in self.backends.values():
            await backend.stop()

    def _routed(self) -> Iterable[VersionKey]:
        for route in self.feed.table.routes.values():
            for served in route.served:
                yield VersionKey(route.model, served.version)


async def build_gateway(start: StartMessage) -> Gateway:
    """A gateway that begins to load or to connect; nothing of it is ready yet.

    Raises:
        ConfigInvalid: the configuration in the start message is none.
    """
    settings = Settings.model_validate(start.config)
    table = session_table(start)
    members = _members(start, table)
    pools = PoolBackends(start, settings, members)
    backends = {pool: pools.backend(pool) for pool in pools_of(table)}
    recorder = Recorder()
    clock = time.monotonic
    sources = Sources()
    reader = _features_reader(start, settings, recorder, sources)
    near_cache = _near_cache(start, settings, reader, sources)
    look_ups = LookUps(
        ReadPlans(all_model_inputs(settings)),
        reader if near_cache is None else near_cache.reader,
        recorder,
        _read_budget(settings),
        None if near_cache is None else near_cache.reader.kept,
    )
    predictor = Predictor(backends, LoopTimers(clock), recorder, clock, look_ups)
    _set_up(predictor, settings)
    learning = GatewayLearning(predictor.queues.estimates, start.models, start.estimates)
    versions = GatewayVersions(settings, backends, predictor.variants, pools.backend)

    predictor.variants.expect(served.model for served in start.models)

    def adopt(table: RouteTable) -> None:
        versions.follow(table)
        predictor.variants.adopt(table)

    feed = TableFeed(_kept(start), adopt)
    feed.restore()
    feed.offer(dump(table))
    followers: list[Follower] = []
    if members is not None:
        from serving.processes.trial_reporter import TrialReporter  # noqa: PLC0415 - see _members
        from serving.state.table_store import TableStore  # noqa: PLC0415 - see _members

        store = TableStore(start.control_url, feed.offer)
        store.follow()
        members.start()
        reporter = TrialReporter(start.control_url, predictor.variants.trials, time.time)
        reporter.start()
        followers += [members, store, reporter]
    features = near_cache or reader
    if features is not None:
        await features.start()
        followers.append(features)
    predictor.features.served_log = served_log = served_log_of(settings.features.served_log)
    if served_log is not None:
        served_log.start()
        followers.append(served_log)
    tracing, edge_observer = _watched(predictor, start, settings, recorder, followers)
    await versions.start()
    models_dir = settings.repository.models_dir
    root = Path(models_dir) if models_dir else None
    administration = SessionAdministration(predictor.variants, root, start.token, start.values_token)
    predictor.administration = administration
    http = HttpServer(predictor, http_limits(settings.http), edge_observer, clock, release())
    shared = Worker(http.budget, clock, release())
    grpc = GrpcServer(predictor, grpc_limits(settings), edge_observer, shared)
    return Gateway(
        http,
        grpc,
        predictor,
        backends,
        feed,
        recorder,
        versions,
        learning,
        administration,
        WorkerFigures(settings),
        followers,
        near_cache,
        reader,
        predictor.features.served_log,
        tracing,
    )


def _kept(start: StartMessage) -> Path | None:
    # Without a control state the table comes from the configuration alone, and an old one must not come before it.
    return Path(start.state_dir) / "table.json" if start.control_url else None


def _members(start: StartMessage, table: RouteTable) -> Members | None:
    if not start.control_url:
        return None
    # The Redis client takes 0.17 s to import, a tenth of what the in-process engine, which has no Redis, may take to
    # its first prediction.
    from serving.state.members import Members  # noqa: PLC0415

    return Members(start.control_url, pools_of(table), Path(start.state_dir) / "members.json")


def _features_reader(
    start: StartMessage, settings: Settings, recorder: Recorder, sources: Sources
) -> StoreReader | None:
    if not (start.features_url and settings.feature_views):
        return None
    options = ReaderOptions(
        timeout_s=settings.state.features_timeout_ms / 1000, hedge_share=settings.state.features_hedge_percent / 100
    )
    return feature_reader(start.features_url, recorder, options, hash_rows(_views(settings)), sources)


def _views(settings: Settings) -> list[FeatureView]:
    return [section.compiled(name) for name, section in settings.feature_views.items()]


def _set_up(predictor: Predictor, settings: Settings) -> None:
    predictor.queues.total.most = settings.http.max_queued_rows
    predictor.look.moment_s = settings.http.look_us / 1e6


def _watched(
    predictor: Predictor, start: StartMessage, settings: Settings, recorder: Recorder, followers: list[Follower]
) -> tuple[Tracing | None, Observer]:
    """Have single requests looked at where traces or the access log want that; edges tell the observer returned."""
    tracing = None
    if settings.tracing.endpoint is not None:
        # An HTTP client, which takes 20 ms to import.
        from serving.processes.tracing import tracing_of  # noqa: PLC0415

        tracing = tracing_of(settings.tracing, start.session, start.slot, recorder)
    if tracing is not None:
        tracing.sender.start()
        followers.append(tracing)
    share = settings.logs.access_sample
    access_log = None
    if share is not None:
        lines = LineWriter()
        lines.start()
        followers.append(lines)
        access_log = AccessLog(share, random.Random().random, time.monotonic, lines.offer)  # noqa: S311 - no secret
    if tracing is None and access_log is None:
        return None, recorder
    watch = predictor.watch = Watch(None if tracing is None else tracing.tracer, access_log)
    return tracing, WatchedObserver(recorder, watch)


def _read_budget(settings: Settings) -> BudgetOptions:
    state = settings.state
    return BudgetOptions(state.features_deadline_percent / 100, state.features_timeout_ms / 1000)


def _near_cache(
    start: StartMessage, settings: Settings, reader: FeatureReader | None, sources: Sources
) -> NearCacheOfWorker | None:
    kept = lifetimes(settings)
    if reader is None or not kept:
        return None
    store = parse_store(start.features_url)
    single = store.kind == "node" and not (store.from_replica or settings.state.features_hedge_percent > 0)
    stored = Stored(store, _views(settings), None if single else sources)
    return NearCacheOfWorker(stored, reader, int(settings.features.near_cache.max_mb * 1e6), kept)
