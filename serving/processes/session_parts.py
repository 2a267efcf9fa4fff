"""What a plan comes to: every part of a session, put together and not yet started."""

from __future__ import annotations

import os
import secrets
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from serving.control.auth import token_in
from serving.errors import BadRequest
from serving.inference import VersionKey
from serving.processes import run_dir
from serving.processes.child_process import Spawner
from serving.processes.control_process import ControlProcess
from serving.processes.embedded_state import EmbeddedValkey, ValkeySpec, control_spec, features_spec, valkey_program
from serving.processes.engine_process import EngineProcess
from serving.processes.estimates_file import EstimatesFile
from serving.processes.events import Emit
from serving.processes.gateways import Gateways, Reports
from serving.processes.guardian_process import GuardianProcess
from serving.processes.learned_estimates import LearnedEstimates
from serving.processes.listeners import Listeners, open_listeners
from serving.processes.rollout_series import RolloutSeries
from serving.processes.running_sessions import RunningSession
from serving.processes.session_members import started_at
from serving.processes.session_plan import EMBEDDED, SessionPlan
from serving.processes.start_message import StartMessage
from serving.processes.worker_faults import WorkerFaults
from serving.telemetry.fleet_counts import FleetCounts


@dataclass(frozen=True, slots=True)
class Sockets:
    """Ports are taken first: what cannot be had is said before anything is started."""

    http: Listeners
    grpc: Listeners | None = None
    metrics: Listeners | None = None
    control: Listeners | None = None

    def close(self) -> None:
        """Give the ports back."""
        for listeners in (self.http, self.grpc, self.metrics, self.control):
            if listeners is not None:
                listeners.close()


@dataclass(frozen=True, slots=True)
class SessionParts:
    """The guardian comes first and goes last."""

    session: str
    run_dir: Path
    sockets: Sockets
    guardian: GuardianProcess
    start: StartMessage
    gateways: Gateways
    engine: EngineProcess | None = None
    valkeys: tuple[EmbeddedValkey, ...] = ()
    control: ControlProcess | None = None
    counts: FleetCounts = field(default_factory=FleetCounts)
    learned: LearnedEstimates = field(default_factory=LearnedEstimates)
    estimates_file: EstimatesFile | None = None
    rollouts: RolloutSeries = field(default_factory=lambda: RolloutSeries(time.monotonic))
    faults: WorkerFaults = field(default_factory=lambda: WorkerFaults(""))


def open_sockets(plan: SessionPlan) -> Sockets:
    """Every port of the session.

    Raises:
        ConfigInvalid: one of them cannot be had.
    """
    sockets = Sockets(open_listeners(plan.http_host, plan.http_port, plan.workers, "--http-port"))
    try:
        if plan.grpc_port is not None:
            grpc = open_listeners(plan.grpc_host, plan.grpc_port, plan.workers, "--grpc-port")
            sockets = replace(sockets, grpc=grpc)
        if plan.metrics_port is not None:
            metrics = open_listeners(plan.metrics_host, plan.metrics_port, 1, "--metrics-port")
            sockets = replace(sockets, metrics=metrics)
        if plan.control_port is not None:
            control = open_listeners(plan.control_host, plan.control_port, 1, "--control-port")
            sockets = replace(sockets, control=control)
    except BaseException:
        sockets.close()
        raise
    return sockets


def assembled(plan: SessionPlan, sockets: Sockets, emit: Emit) -> SessionParts:
    """The parts; the run directory is the first thing made.

    Raises:
        ConfigInvalid: the state is to be embedded and there is no program for it.
    """
    program = valkey_program() if EMBEDDED in _state_urls(plan).values() else None
    session = secrets.token_hex(8)
    directory = run_dir.create(session)
    guardian = GuardianProcess(session, directory, emit)
    spawner = Spawner(session, guardian.begun)
    start = start_message(plan, session, directory, sockets)
    counts = FleetCounts()
    faults = WorkerFaults(start.control_url)
    reports = Reports(
        emit, lambda worker, stats: counts.counted(worker.name, stats), lambda w: counts.gone(w.name), faults.saw
    )
    specs = state_specs(plan, directory).values()
    kept = EstimatesFile(Path(plan.state_dir) / "estimates.json", emit) if plan.state_dir else None
    learned = LearnedEstimates(kept.read() if kept else ())
    learned.keep(VersionKey(served.model, served.version) for served in plan.models)
    return SessionParts(
        session,
        directory,
        sockets,
        guardian,
        start,
        Gateways(spawner, _with_tokens(plan, start), reports, learned),
        EngineProcess(plan.engine_program, spawner, start, emit) if plan.engine == "ray" else None,
        tuple(EmbeddedValkey(program, spec, spawner, emit) for spec in specs) if program else (),
        _control(plan, start, sockets, spawner, emit),
        counts,
        learned,
        kept,
        faults=faults,
    )


# What only the owner of the token may do on the port of predictions, where the configuration allows it.
_BY_TOKEN = ("repository_api", "return_features")


def token_file(plan: SessionPlan, directory: str) -> Path:
    """Where the token of the control app is."""
    return Path(plan.control_token_file or Path(plan.state_dir or directory) / "control-token")


def _with_tokens(plan: SessionPlan, start: StartMessage) -> StartMessage:
    """With what opens the port of predictions for changes, and for stored values; "" where nothing does."""
    opened = _opened(plan)
    token = token_in(token_file(plan, start.run_dir)) if opened else ""
    opens = [token if setting in opened else "" for setting in _BY_TOKEN]
    return replace(start, token=opens[0], values_token=opens[1])


def _opened(plan: SessionPlan) -> list[str]:
    http = plan.config.get("http") or {}
    return [setting for setting in _BY_TOKEN if http.get(setting) == "token"]


def _control(
    plan: SessionPlan, start: StartMessage, sockets: Sockets, spawner: Spawner, emit: Emit
) -> ControlProcess | None:
    if sockets.control is None:
        return None
    options = {
        "host": plan.control_host,
        "token": token_in(token_file(plan, start.run_dir)),
        "features_url": start.features_url,
        "control_url": start.control_url,
        "views": plan.config.get("feature_views") or {},
        "logs": plan.config.get("logs") or {},
    }
    log = Path(start.run_dir) / "logs" / "control.log"
    return ControlProcess(spawner, sockets.control.sockets[0].fileno(), options, log, emit)


def state_specs(plan: SessionPlan, directory: Path) -> dict[str, ValkeySpec]:
    """The servers to start, by the state they hold."""
    state_dir = Path(plan.state_dir) if plan.state_dir else directory
    specs = {}
    for state, url in _state_urls(plan).items():
        if url == EMBEDDED and state == "control":
            specs[state] = control_spec(directory, state_dir)
        elif url == EMBEDDED:
            specs[state] = features_spec(directory, plan.features_memory_mb)
    return specs


def _state_urls(plan: SessionPlan) -> dict[str, str]:
    """What state there is, and where; the in-process engine has only what it is asked for."""
    with_pools = plan.engine != "in-process"
    control = {"control": plan.control_url} if with_pools or plan.rollouts else {}
    features = {"features": plan.features_url} if plan.engine == "ray" or plan.feature_views else {}
    return control | features


def start_message(plan: SessionPlan, session: str, directory: Path, sockets: Sockets) -> StartMessage:
    """What engine and workers are told; workers get a slot and a generation of their own in it."""
    urls = _state_urls(plan) | {state: spec.url for state, spec in state_specs(plan, directory).items()}
    return StartMessage(
        session=session,
        engine=plan.engine,
        run_dir=str(directory),
        state_dir=plan.state_dir or str(directory),
        workers=plan.workers,
        control_url=urls.get("control", ""),
        features_url=urls.get("features", ""),
        secret=plan.secret or secrets.token_hex(32),
        http_host=plan.http_host,
        http_port=sockets.http.port,
        grace_s=plan.grace_s,
        builder=plan.gateway_builder,
        models=plan.models,
        listeners=sockets.http.fds(),
        grpc_listeners=sockets.grpc.fds() if sockets.grpc else {},
        config=plan.config,
    )


def followed(plan: SessionPlan, start: StartMessage) -> StartMessage:
    """What workers are told once the session follows another plan; ports and servers stay those of its start.

    Raises:
        BadRequest: the plan needs a server that the session has not begun with.
    """
    if not start.features_url and "features" in _state_urls(plan):
        raise BadRequest(
            "feature_views: this session began without any, and so without a features Redis; stop it and start it again"
        )
    return _with_tokens(plan, replace(start, config=plan.config, grace_s=plan.grace_s))


def registration(plan: SessionPlan, parts: SessionParts) -> RunningSession:
    """What others find the session by."""
    return RunningSession(
        session=parts.session,
        pid=os.getpid(),
        started=started_at(os.getpid()),
        run_dir=str(parts.run_dir),
        engine=plan.engine,
        http_host=plan.http_host,
        http_port=parts.sockets.http.port,
        grpc_host=plan.grpc_host,
        grpc_port=parts.sockets.grpc.port if parts.sockets.grpc else None,
        metrics_host=plan.metrics_host,
        metrics_port=parts.sockets.metrics.port if parts.sockets.metrics else None,
        control_host=plan.control_host,
        control_port=parts.sockets.control.port if parts.sockets.control else None,
        token_file=str(token_file(plan, str(parts.run_dir)).absolute())
        if parts.sockets.control or _opened(plan)
        else "",
    )
