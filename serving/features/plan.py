"""What a model version reads, fixed when it is loaded: which rows, and how they become its tensors."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial

from serving.errors import ServingError
from serving.features.cached_rows import outdated_of
from serving.features.derivation import Derivation
from serving.features.entity_rows import EntityRows
from serving.features.explanation import Explanation
from serving.features.filling import Filled, Gap, ViewRead
from serving.features.instance_reader import InstanceReader
from serving.features.keys import netstring
from serving.features.model_inputs import (
    ModelInputs,
    TensorPlan,
    UsedView,
    defaults_of,
    key_types,
    names_of,
    request_fields,
)
from serving.features.segments import Pieces
from serving.features.whole_rows import WholeRows
from serving.inference import Signature, Tensor

Found = Mapping[bytes, bytes | None]

# About 3 ms; no callback may hold the loop for more than 10.
ROWS_A_TURN = 1_000


class ReadPlan:
    """Made by `compile_plan`; `entity_keys` and `request_fields` are what callers send, in the order of the columns.

    `key_types` says what each of the keys has to be. `recipe` is what it was compiled from: another process compiles
    its own. `whole_rows` finishes many requests.
    """

    def __init__(
        self,
        recipe: tuple[ModelInputs, Signature],
        used: Sequence[UsedView],
        pieces: Pieces,
        tensors: Sequence[TensorPlan],
        derivation: Derivation | None = None,
    ) -> None:
        inputs, _ = recipe
        self.recipe = recipe
        self.model = inputs.model
        self.on_missing = inputs.on_missing
        self.views = tuple(used)
        self.request_fields = request_fields(pieces.sent, pieces.words, inputs.request_defaults)
        self.key_types = key_types(used, self.request_fields)
        self.entity_keys = tuple(self.key_types)
        defaults = defaults_of(self.request_fields)
        self._instances = InstanceReader([one.view for one in used], pieces.sent, defaults, pieces.words)
        self._reads = reads = [
            ViewRead(one, layout, inputs.on_missing) for one, layout in zip(used, pieces.layouts, strict=True)
        ]
        # Behind them come those that only transforms see.
        self._made = tensors[: len(inputs.inputs)]
        self.whole_rows = WholeRows(pieces, tensors, self._made, derivation)
        columns = {name: names_of(of) for name, of in inputs.inputs}
        self.explanation = Explanation(reads, [(tensor.name, columns[tensor.name]) for tensor in self._made])
        self._conversions = pieces.conversions
        self._tensors = tensors
        self._derivation = derivation

    def read(self, instances: Sequence[object]) -> EntityRows:
        """The instances of one request, each an object of fields by name.

        Raises:
            BadRequest: names the instance and the field, and what is known.
        """
        keys, sent = self._instances.read(instances)
        return EntityRows(self, len(instances), keys, sent, self._sticky_key(instances), partial(_read_by, instances))

    def tensors(self, rows: EntityRows, found: Found | None, now_ms: int) -> Filled:
        """The finished rows as tensors; `found` None is a store that does not answer, and so is the part of
        it whose keys are not in it; `now_ms` is the time of day.

        Where the model takes no defaults, the refusal is UnknownEntity for a row that is not there, and FeaturesAway
        where nothing that can be used is there.
        """
        filled = Filled()
        positions = range(rows.count)
        parts = self._gathered(rows, found, now_ms, positions, filled)
        if filled.refusal is None:
            filled.tensors = self._shaped(self._finished(parts, rows, positions), rows.count)
        return filled

    def gradually(self, rows: EntityRows, found: Found | None, now_ms: int) -> Generator[None, None, Filled]:
        """Like `tensors`, with a pause after every thousand rows, in which others have their turn."""
        filled = Filled()
        turns: list[list[bytes]] = []
        for start in range(0, rows.count, ROWS_A_TURN):
            positions = range(start, min(start + ROWS_A_TURN, rows.count))
            parts = self._gathered(rows, found, now_ms, positions, filled)
            if filled.refusal is None:
                turns.append(self._finished(parts, rows, positions))
            yield
        if filled.refusal is None:
            filled.tensors = self._shaped([b"".join(turn) for turn in zip(*turns, strict=True)], rows.count)
        return filled

    def _gathered(
        self, rows: EntityRows, found: Found | None, now_ms: int, positions: range, filled: Filled
    ) -> list[list[bytes]]:
        """What tensors are made of for some of the rows; adds what they lack to `filled`, and why they are refused."""
        parts: list[list[bytes]] = [[] for _ in self._tensors]
        gaps = filled.gaps
        outdated = outdated_of(found)
        known: Found = {} if found is None else found
        key = positions.start * len(self._reads)
        for position in positions:
            pieces: list[bytes] = []
            for read in self._reads:
                wanted = rows.keys[key]
                data = known.get(wanted)
                key += 1
                if data is None or not read.whole(data, now_ms):
                    gap, data = read.mended(data, now_ms, away=wanted not in known)
                    if gap.error is not None and filled.refusal is None:
                        # Those behind it are gone through as well: what became of each value is counted.
                        filled.refusal = gap.refusal(position, wanted)
                    _count_lacking(read, gap, gaps, kept=wanted in outdated)
                elif wanted in outdated:
                    _count(read.outdated, gaps)
                pieces.append(data)
            pieces += rows.sent[position]
            for conversion in self._conversions:
                pieces.append(conversion.convert(pieces[conversion.view]))
            for row, tensor in zip(parts, self._tensors, strict=True):
                for piece, start, stop in tensor.segments:
                    row.append(pieces[piece][start:stop])
        return parts

    def _finished(self, parts: Sequence[Sequence[bytes]], rows: EntityRows, positions: range) -> list[bytes]:
        """The bytes of each tensor for these rows."""
        joined = [b"".join(row) for row in parts]
        if self._derivation is None:
            return joined
        return self._derivation.joined(joined, rows.sent[positions.start : positions.stop])

    def _shaped(self, data: Sequence[bytes], count: int) -> list[Tensor]:
        return [
            Tensor(tensor.name, tensor.datatype, (count, *tensor.trailing), values)
            for tensor, values in zip(self._made, data, strict=True)
        ]

    def _sticky_key(self, instances: Sequence[object]) -> bytes | None:
        first = instances[0] if instances else None
        if not self.views or not isinstance(first, dict):
            return None
        names = self.views[0].view.entity
        if len(names) == 1:
            # The id as it is, so that a caller who sends it in x-sluice-key gets the same variant.
            return str(first[names[0]]).encode()
        return b"".join(netstring(name, first[name]) for name in names)


def _count_lacking(read: ViewRead, gap: Gap, gaps: dict[Gap, int], *, kept: bool) -> None:
    """A row that lacks something; what else it has is told of too where it was `kept` from before."""
    _count(gap, gaps)
    if kept:
        _count(read.outdated_beside(gap), gaps)


def _count(gap: Gap, gaps: dict[Gap, int]) -> None:
    if gap.features:
        gaps[gap] = gaps.get(gap, 0) + 1


def _read_by(instances: Sequence[object], plan: ReadPlan, told: Callable[[EntityRows | ServingError], None]) -> None:
    try:
        rows = plan.read(instances)
    except ServingError as refused:
        told(refused)
    else:
        told(rows)
