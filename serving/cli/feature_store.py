"""Where a command finds a feature view and the Redis that holds its rows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from serving.cli.failure import not_reachable, wrong_usage
from serving.config.effective import effective
from serving.config.settings import Settings
from serving.errors import BadRequest, FeaturesAway
from serving.features.feature_view import FeatureView
from serving.features.store.redis_store import RedisStore, refuse_to_write
from serving.processes import running_sessions
from serving.processes.embedded_state import features_spec

_EMBEDDED = "embedded"


@dataclass(frozen=True, slots=True)
class Where:
    """What the command line says of it; None where it says nothing."""

    config: Path | None = None
    redis_url: str | None = None
    http_port: int | None = None

    def settings(self) -> Settings:
        """The configuration that holds, from which views are known.

        Raises:
            ConfigInvalid: names every wrong key.
        """
        return effective(self.config, os.environ, {}).settings


def view_of(settings: Settings, name: str) -> FeatureView:
    """The view of that name.

    Raises:
        CommandFailed: there is none; lists those there are.
    """
    section = settings.feature_views.get(name)
    if section is not None:
        return section.compiled(name)
    if not settings.feature_views:
        raise wrong_usage("no feature view is configured; name the file that has them with --config")
    raise wrong_usage(f"there is no feature view {name!r}; there are {', '.join(settings.feature_views)}")


def writable_view_of(settings: Settings, name: str) -> FeatureView:
    """The view of that name, whose rows are ours to write.

    Raises:
        CommandFailed: there is none, or Feast writes its rows.
    """
    view = view_of(settings, name)
    try:
        refuse_to_write(view)
    except BadRequest as refused:
        raise wrong_usage(refused.message) from refused
    return view


@contextmanager
def store_of(settings: Settings, where: Where) -> Iterator[RedisStore]:
    """The named server, else the configured one, else that of the running session; it answers.

    Raises:
        CommandFailed: there is none, it does not answer, or stops to.
    """
    with RedisStore(url_of(settings, where)) as store:
        try:
            store.check()
            yield store
        except FeaturesAway as away:
            raise not_reachable(away.message) from away


def url_of(settings: Settings, where: Where) -> str:
    """Where that server is.

    Raises:
        CommandFailed: there is none.
    """
    url = where.redis_url or settings.state.features_url
    return _of_session(settings, where) if url == _EMBEDDED else url


def _of_session(settings: Settings, where: Where) -> str:
    port = where.http_port or settings.http.port
    running = running_sessions.find(port)
    if running is None:
        others = ", ".join(str(one.http_port) for one in running_sessions.sessions())
        hint = f"name another one with --http-port: {others}" if others else "`sluice up` starts one"
        raise not_reachable(f"no session of yours runs on port {port}, and no --redis-url is given; {hint}")
    spec = features_spec(Path(running.run_dir), settings.state.features_memory_mb)
    if not spec.socket.exists():
        raise not_reachable(
            f"the session on port {port} has no features Redis of its own; name the one it uses with --redis-url"
        )
    return spec.url
