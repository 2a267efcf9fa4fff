"""Which settings a running session takes from its configuration anew, and which only its next start does."""

from __future__ import annotations

from collections.abc import Iterable

from serving.config.document import Path, dotted
from serving.config.layers import leaves
from serving.config.settings import Settings

# Sockets, processes and servers that live as long as the session, and what says where everything is. All else is read
# by each worker when it begins, or is a pool's, or stands in the routing table.
_AT_THE_START: tuple[Path, ...] = (
    ("http", "host"),
    ("http", "port"),
    ("http", "workers"),
    ("grpc", "host"),
    ("grpc", "port"),
    ("metrics",),
    # Levels are changed while it runs by `sluice logs level`.
    ("logs", "format"),
    ("logs", "levels"),
    ("control",),
    ("engine",),
    ("repository",),
    ("state", "control_url"),
    ("state", "rollouts"),
    ("state", "features_url"),
    ("state", "features_memory_mb"),
    ("state", "dir"),
)
_ROUTES = 2


def changed(old: Settings, new: Settings) -> list[Path]:
    """Every setting whose value differs, or that only one of them has; sorted as it is written."""
    before, after = values(old), values(new)
    paths = [path for path in before.keys() | after.keys() if path not in before or path not in after]
    paths += [path for path in before.keys() & after.keys() if before[path] != after[path]]
    return sorted(paths, key=dotted)


def values(settings: Settings) -> dict[Path, object]:
    """Every value that is no mapping, or an empty one, by its path."""
    return dict(leaves(settings.model_dump(mode="json")))


def takes_restart(path: Path) -> bool:
    """Whether a running session refuses another value.

    The routes of a model are among them: which of its versions answers is a rollout's to change, or a pin's.
    """
    of_routes = path[:1] == ("models",) and path[_ROUTES : _ROUTES + 1] == ("routes",)
    return of_routes or any(path[: len(start)] == start for start in _AT_THE_START)


def refused(old: Settings, new: Settings) -> list[str]:
    """Settings that keep a running session from following `new`; a model that comes or goes may have any routes."""
    models = old.models.keys() & new.models.keys()
    return [dotted(path) for path in changed(old, new) if takes_restart(path) and _concerns(path, models)]


def _concerns(path: Path, models: Iterable[str]) -> bool:
    return path[0] != "models" or path[1] in models
