"""What is told of each value of a request that asks: its status and age, and with permission the value itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import NamedTuple

from serving.errors import BadRequest
from serving.features.cached_rows import CachedRows
from serving.features.entity_rows import EntityRows
from serving.features.feature_status import OUTDATED, PRESENT, WORDS
from serving.features.filling import ViewRead
from serving.features.segments import FORMATS
from serving.features.value_words import shown
from serving.inference import Tensor

# Values of one request that are told of: 4 ms of them, and no callback may hold the loop for more than 10.
MOST_VALUES = 4_096

STATUS, VALUES = "feature_status", "return_features"


class Wants(NamedTuple):
    """What a caller asks to be told of: the `status` of each feature, the `values` that the model got."""

    status: bool
    values: bool


def wants_of(parameters: object) -> Wants | None:
    """What a request's `parameters` ask for; None where they ask for nothing of this kind.

    Raises:
        BadRequest: one of the two is neither true nor false.
    """
    if not isinstance(parameters, Mapping):
        return None
    given = [parameters.get(name) for name in (STATUS, VALUES)]
    for name, value in zip((STATUS, VALUES), given, strict=True):
        if value is not None and type(value) is not bool:
            raise BadRequest(f"parameter {name!r} must be true or false, got {shown(value)}")
    return Wants(bool(given[0]), bool(given[1])) if any(given) else None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Prepared for one plan: `reads` are its views, `columns` the names of what each of its tensors is made of."""

    reads: Sequence[ViewRead]
    columns: Sequence[tuple[str, tuple[str, ...]]]

    def check(self, instances: int) -> None:
        """Raise BadRequest where a request has more values than are told of."""
        most = MOST_VALUES // max(1, sum(len(names) for _, names in self.columns))
        if instances > most:
            raise BadRequest(f"{STATUS} and {VALUES} are told of at most {most} instances of this model at a time")

    def told(
        self, rows: EntityRows, found: Mapping[bytes, bytes | None] | None, now_ms: int, tensors: Sequence[Tensor]
    ) -> Mapping[str, object]:
        """What the answer says beside its predictions, for each instance in turn."""
        wants = rows.wants
        told: dict[str, object] = {}
        if wants is not None and wants.status:
            told[STATUS] = [self.statuses(rows, position, found, now_ms) for position in range(rows.count)]
        if wants is not None and wants.values:
            told["features"] = self._values(rows.count, tensors)
        return told

    def statuses(
        self, rows: EntityRows, position: int, found: Mapping[bytes, bytes | None] | None, now_ms: int
    ) -> dict[str, dict[str, object]]:
        """What is told of each feature of one instance, by view and name."""
        statuses: dict[str, dict[str, object]] = {}
        for number, read in enumerate(self.reads):
            key = rows.keys[position * len(self.reads) + number]
            away = found is None or key not in found
            data = None if found is None else found.get(key)
            gap = None if data is not None and read.whole(data, now_ms) else read.mended(data, now_ms, away=away)[0]
            age_s = read.age_s(data, now_ms)
            used = OUTDATED if isinstance(found, CachedRows) and key in found.outdated else PRESENT
            for name in read.used:
                status = gap.status if gap is not None and name in gap.features else used
                told: dict[str, object] = {"status": WORDS[status], "age_s": age_s}
                if status != used:
                    told["filled_by"] = read.filled_by[name]
                if WORDS[status].lower() != status:
                    told["why"] = status
                statuses[f"{read.view.name}.{name}"] = told
        return statuses

    def _values(self, count: int, tensors: Sequence[Tensor]) -> list[dict[str, dict[str, object]]]:
        told: list[dict[str, dict[str, object]]] = [{} for _ in range(count)]
        for (name, columns), tensor in zip(self.columns, tensors, strict=True):
            rows = Struct(f"<{len(columns)}{FORMATS[tensor.datatype]}").iter_unpack(tensor.data)
            for of, values in zip(told, rows, strict=True):
                of[name] = dict(zip(columns, values, strict=True))
        return told
