"""How far a table was loaded: kept in the features Redis beside the rows, so that it is lost when they are."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path

from serving.features.feature_view import FeatureView
from serving.features.keys import PREFIX
from serving.features.store.redis_store import RedisStore

_KEEP_S = 7 * 86_400


@dataclass(frozen=True, slots=True)
class Reached:
    """So many rows are stored and so many were rejected, in a rejects file that had so many bytes then.

    `first` tells of the first one that was rejected.
    """

    rows: int = 0
    rejected: int = 0
    rejects_bytes: int = 0
    first: str = ""

    @property
    def taken(self) -> int:
        """Rows of the file that need not be read again."""
        return self.rows + self.rejected


class LoadMark:
    """Of one file as it is, loaded into a view as it is configured; any other has a mark of its own."""

    def __init__(self, store: RedisStore, path: Path, view: FeatureView, event_time: str | None) -> None:
        self._store = store
        about = path.stat()
        what = [
            *(str(path.resolve()), about.st_size, about.st_mtime_ns, event_time),
            *(view.name, view.fingerprint.hex(), view.generation, view.expire_after_s),
            [one.bounds for one in view.features],
        ]
        # Among the keys of features, which users of the server that may write no others may write. No view has an @.
        self._name = PREFIX + b"@load:" + blake2b(json.dumps(what).encode(), digest_size=16).hexdigest().encode()

    def reached(self, rejects: Path) -> Reached:
        """Where to go on; at the beginning where nothing is known, or the rejected rows are gone."""
        found = self._store.mark(self._name)
        if found is None:
            return Reached()
        reached = Reached(**json.loads(found))
        there = rejects.stat().st_size if rejects.exists() else 0
        return reached if there >= reached.rejects_bytes else Reached()

    def keep(self, reached: Reached) -> None:
        """Once all of it is stored."""
        self._store.set_mark(self._name, json.dumps(asdict(reached)).encode(), _KEEP_S)

    def drop(self) -> None:
        """The file is loaded."""
        self._store.set_mark(self._name, None, _KEEP_S)
