"""Tells of a Feast repository what its registry has, as JSON: `python - REPO < repository.py`.

Runs in the Python that has Feast, which need not be this one: Feast takes no redis of version 8, which Sluice needs. So
it imports nothing of Sluice.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any


def described(repository: str) -> Mapping[str, Any]:
    """Project, online store and views, by Feast's own names and types."""
    from feast import FeatureStore  # noqa: PLC0415 - told apart from a repository that cannot be read
    from feast.infra.online_stores.helpers import compute_versioned_name  # noqa: PLC0415 - see above

    store = FeatureStore(repo_path=repository)
    entities = {entity.name: entity for entity in store.list_entities()}
    versioned = store.config.registry.enable_online_feature_view_versioning
    views = [*store.list_batch_feature_views(), *store.list_stream_feature_views()]
    return {
        "project": store.project,
        "online_store": store.config.online_store.type,
        "address": _address(str(getattr(store.config.online_store, "connection_string", ""))),
        "key_version": store.config.entity_key_serialization_version,
        "views": [{**_view(view, entities), "name": compute_versioned_name(view, versioned)} for view in views],
        "others": sorted(view.name for view in store.list_on_demand_feature_views()),
    }


def _address(connection: str) -> str:
    """Nodes, database and TLS of a connection string; what may be a secret stays where it is."""
    told = ("db=", "ssl=")
    return ",".join(part for part in connection.split(",") if "=" not in part or part.strip().startswith(told))


def _view(view: Any, entities: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ANN401 - Feast's
    types = {column.name: column.dtype.to_value_type().name for column in view.entity_columns}
    of_entities = {
        entities[name].join_key: entities[name].value_type.name for name in view.entities if name in entities
    }
    return {
        "online": bool(view.online),
        "ttl_s": view.ttl.total_seconds() if view.ttl else 0,
        "join_keys": {**of_entities, **types},
        "features": {one.name: one.dtype.to_value_type().name for one in view.features},
    }


def main() -> None:
    """One line of JSON, whatever Feast prints besides."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    try:
        told = described(sys.argv[1])
    except ModuleNotFoundError as error:
        told = {"missing": error.name}
    except Exception as error:  # noqa: BLE001 - Feast's, and whatever the repository runs
        told = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(told), file=out)


if __name__ == "__main__":
    main()
