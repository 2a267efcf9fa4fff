"""From a configuration and a repository to a session's plan: which versions, and which of them answer by default."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from serving.cli.failure import wrong_usage
from serving.cli.servable_versions import servable
from serving.config.first_table import default_version, first_table
from serving.config.owner_facts import with_owner_facts
from serving.config.settings import Settings
from serving.pool.secret import read_secret
from serving.processes.session_plan import ServedModel, SessionPlan
from serving.registry.repository import Listing, Problem, Repository


@dataclass(frozen=True, slots=True)
class Planned:
    """A session that can be started; `problems` is what of the repository is left out of it."""

    plan: SessionPlan
    settings: Settings
    problems: tuple[Problem, ...]


def planned(settings: Settings, sift: Callable[[Settings, Listing], Listing] = servable) -> Planned:
    """Read the repository and lay the session out; `sift` leaves out what cannot be served.

    Raises:
        CommandFailed: no repository is named, or it holds nothing that can be served.
        ConfigInvalid: the folder does not exist, the configuration names a model that it does not hold, or the headers
            for the receiver of traces cannot be read.
    """
    root = settings.repository.models_dir
    if root is None:
        raise wrong_usage("name the models to serve: --models DIR, or repository.models_dir in the configuration")
    if settings.tracing.headers_file is not None:
        # Of what only workers read, a mistake would be theirs, told in each one's log.
        from serving.processes.tracing import receiver_headers

        receiver_headers(Path(settings.tracing.headers_file))
    listing = sift(settings, Repository(Path(root)).listing())
    if not listing.versions:
        why = "".join(f"\n  {problem.error.message}" for problem in listing.problems)
        raise wrong_usage(f"{root} has no model that can be served; put one at {root}/<model>/1/model.onnx{why}")
    whole = with_owner_facts(settings, {one.key.model: one.manifest for one in listing.versions})
    # Refuses a configuration that names models which are not there, before anything is started.
    first_table(whole, [one.key for one in listing.versions])
    left_out = {one.name: one.error.message for one in listing.problems}
    return Planned(session_plan(whole, _served(whole, listing), left_out), whole, listing.problems)


def session_plan(
    settings: Settings, models: Iterable[ServedModel], left_out: Mapping[str, str] | None = None
) -> SessionPlan:
    """The plan of a session with these settings and versions."""
    return SessionPlan(
        engine=settings.engine.kind,
        workers=settings.http.workers,
        http_host=settings.http.host,
        http_port=settings.http.port,
        grpc_host=settings.grpc.host,
        grpc_port=settings.grpc.port,
        metrics_host=settings.metrics.host,
        metrics_port=settings.metrics.port,
        control_host=settings.control.host,
        control_port=settings.control.port,
        control_token_file=settings.control.token_file,
        models=tuple(models),
        control_url=settings.state.control_url,
        rollouts=settings.state.rollouts,
        features_url=settings.state.features_url,
        features_memory_mb=settings.state.features_memory_mb,
        feature_views=bool(settings.feature_views),
        state_dir=settings.state.dir,
        secret=read_secret("").decode() if settings.engine.kind == "external" else "",
        grace_s=settings.http.drain_grace_s,
        config=settings.model_dump(mode="json"),
        left_out=left_out or {},
    )


def _served(settings: Settings, listing: Listing) -> Iterable[ServedModel]:
    for one in listing.versions:
        model, version = one.key
        numbers = [other.key.version for other in listing.of(model)]
        default = version == default_version(settings, model, numbers)
        yield ServedModel(model, version, str(one.path.resolve()), default)
