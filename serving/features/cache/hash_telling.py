"""What is told of Feast's hashes, as what is looked up of them: a hash is a row of each view with its join keys.

All hashes of the same join keys begin alike, in every project, and the server tells by what keys begin with: those of
other projects are told as well, and left out here.
"""

from __future__ import annotations

from collections.abc import Sequence

from serving.features.cache.write_listener import HearsOfWrites
from serving.features.feast.entity_key import EntityKeys
from serving.features.feature_view import FeatureView
from serving.features.keys import prefix


class HashTelling:
    """Passes on what is told; names of hashes of these views become the keys of their rows."""

    def __init__(self, views: Sequence[FeatureView], tells: HearsOfWrites) -> None:
        self._tells = tells
        self._views: dict[bytes, list[tuple[bytes, bytes]]] = {}
        for view in views:
            if view.feast is not None:
                start, end = EntityKeys(view.name, view.entity, view.feast).around
                self._views.setdefault(start, []).append((end, prefix(view)))

    @property
    def prefixes(self) -> list[bytes]:
        """What the names of the hashes begin with; none begins with another, as each has its length in it."""
        return list(self._views)

    def invalidate(self, keys: Sequence[bytes]) -> None:
        """These keys were written."""
        rows: list[bytes] = []
        for key in keys:
            views = next((views for start, views in self._views.items() if key.startswith(start)), None)
            if views is None:
                rows.append(key)
            else:
                rows += [view + key for end, view in views if key.endswith(end)]
        if rows:
            self._tells.invalidate(rows)

    def flush(self) -> None:
        """All were."""
        self._tells.flush()

    def trust(self, *, heard: bool) -> None:
        """Writes are told from now on, or not any more."""
        self._tells.trust(heard=heard)
