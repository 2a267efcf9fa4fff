"""What is asked and what is answered: tensors, signatures, requests, batches and answers.

Tensors stay bytes from the edge to the model (little-endian, row-major, as in the binary tensor extension of the Open
Inference Protocol). Stacking rows is then one join, and a row's answer is a slice: cheaper than any array operation on
one row, and the gateway needs no NumPy to move them.

What is made for each request has its `__init__` written out: one that `dataclass` makes is interpreted even where all
else is compiled, and takes 0.2 us more.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from struct import Struct
from typing import NamedTuple, Protocol

from serving.errors import ServingError

log = logging.getLogger(__name__)

Buffer = bytes | bytearray | memoryview

# Bytes of one element; BYTES elements are a little-endian uint32 length and that many bytes.
ELEMENT_SIZE: Mapping[str, int] = {
    "BOOL": 1,
    "UINT8": 1,
    "UINT16": 2,
    "UINT32": 4,
    "UINT64": 8,
    "INT8": 1,
    "INT16": 2,
    "INT32": 4,
    "INT64": 8,
    "FP16": 2,
    "BF16": 2,
    "FP32": 4,
    "FP64": 8,
    "BYTES": 0,
}

_BYTES_LENGTH = Struct("<I")


class VersionKey(NamedTuple):
    """One version of one model."""

    model: str
    version: int

    def __str__(self) -> str:
        return f"{self.model}/{self.version}"


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output as the model declares it; -1 in `shape` is a dimension of any size.

    An `optional` input has a default in the model and may be left out.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    optional: bool = False

    def __reduce__(self) -> tuple[type[TensorSpec], tuple[object, ...]]:
        # Compiled, a frozen dataclass has no other way to be unpickled.
        return TensorSpec, (self.name, self.datatype, self.shape, self.optional)

    @property
    def trailing(self) -> tuple[int, ...]:
        """The shape of one row."""
        return self.shape[1:]

    @property
    def fixed_trailing(self) -> bool:
        """Rows of every request have the same shape."""
        return bool(self.shape) and all(size >= 0 for size in self.shape[1:])


@dataclass(frozen=True, slots=True)
class Signature:
    """Inputs and outputs of a version, in the model's own order; `inputs` are those that every request has to give."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    optional: tuple[TensorSpec, ...] = ()

    def __reduce__(self) -> tuple[type[Signature], tuple[object, ...]]:
        return Signature, (self.inputs, self.outputs, self.optional)

    @property
    def all_inputs(self) -> tuple[TensorSpec, ...]:
        """What a request may give, the optional inputs last."""
        return (*self.inputs, *self.optional)

    def given(self, bits: int) -> tuple[TensorSpec, ...]:
        """The inputs of a request that gives the optional ones whose bits are set; the lowest is the first one's."""
        if not bits:
            return self.inputs
        return (*self.inputs, *(spec for place, spec in enumerate(self.optional) if bits >> place & 1))


@dataclass(slots=True, init=False)
class Tensor:
    """A named array as bytes: `shape` with dimension 0 counting rows where the model is batchable.

    `data` holds little-endian elements in row-major order, each BYTES element prefixed with its length (uint32).
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: Buffer

    def __init__(self, name: str, datatype: str, shape: tuple[int, ...], data: Buffer) -> None:
        self.name = name
        self.datatype = datatype
        self.shape = shape
        self.data = data

    def rows(self, start: int, stop: int) -> Buffer:
        """The bytes of rows `start` to `stop`, without a copy."""
        if start == 0 and stop == self.shape[0]:
            return self.data
        size = ELEMENT_SIZE[self.datatype]
        if size:
            row_bytes = size * prod(self.shape[1:])
            return memoryview(self.data)[start * row_bytes : stop * row_bytes]
        elements = prod(self.shape[1:])
        offsets = bytes_offsets(self.data, stop * elements)
        return memoryview(self.data)[offsets[start * elements] : offsets[stop * elements]]


def bytes_offsets(data: Buffer, elements: int) -> list[int]:
    """Where each of the first `elements` BYTES elements begins, and where the last one ends."""
    offsets = [0]
    position = 0
    for _ in range(elements):
        position += 4 + _BYTES_LENGTH.unpack_from(data, position)[0]
        offsets.append(position)
    return offsets


@dataclass(slots=True, init=False)
class Stacked:
    """One input of a batch: the rows of several requests, joined only when they are written."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    parts: list[Buffer]

    def __init__(self, name: str, datatype: str, shape: tuple[int, ...], parts: list[Buffer]) -> None:
        self.name = name
        self.datatype = datatype
        self.shape = shape
        self.parts = parts

    def joined(self) -> bytes:
        """All rows in one piece."""
        return b"".join(self.parts)


@dataclass(slots=True)
class Batch:
    """Rows that run together on one version.

    `rows` is 0 for a version that is not batchable: its one request then goes as it is and comes back whole.
    `expires_at` is the latest deadline of its requests on the gateway's monotonic clock, in seconds. `given` has the
    bits of the optional inputs that follow the others (see `Signature.given`); such a batch is one request, whole.
    `alone` asks that nothing else runs on the replica meanwhile (a suspect of a crash). It is estimated to run for
    `work_s` seconds; `late_s` are those that 99 of 100 such batches do not exceed, 0 where nobody would mind.
    """

    key: VersionKey
    inputs: tuple[Stacked, ...]
    rows: int
    expires_at: float
    alone: bool = False
    given: int = 0
    work_s: float = 0.0
    late_s: float = 0.0


@dataclass(slots=True)
class Outputs:
    """What a version answered to a batch, which ran for `run_s` seconds where the model is; 0 where nobody measured.

    `worked_s` of them a processor worked for it; 0 where nobody knows, since it was not one thread that did.
    `replica` is the one that ran it, "" in this process; there it had waited for `waited_s` seconds before it ran.
    `rendered` is a memo for edges, which encode a whole batch once instead of each row.
    """

    tensors: tuple[Tensor, ...]
    run_s: float = 0.0
    replica: str = ""
    waited_s: float = 0.0
    worked_s: float = 0.0
    rendered: dict[Hashable, object] = field(default_factory=dict)


@dataclass(slots=True, init=False)
class Answer:
    """Rows `start` to `stop` of a batch's outputs; all of them, as they are, where `whole`."""

    outputs: Outputs
    start: int
    stop: int
    whole: bool
    key: VersionKey
    variant: str
    queue_s: float
    run_s: float

    def __init__(  # noqa: PLR0913, PLR0917 - its fields
        self,
        outputs: Outputs,
        start: int,
        stop: int,
        whole: bool,  # noqa: FBT001 - as the field
        key: VersionKey,
        variant: str,
        queue_s: float,
        run_s: float,
    ) -> None:
        self.outputs = outputs
        self.start = start
        self.stop = stop
        self.whole = whole
        self.key = key
        self.variant = variant
        self.queue_s = queue_s
        self.run_s = run_s

    def tensors(self) -> tuple[Tensor, ...]:
        """The caller's own tensors: slices of the batch's, without copies."""
        if self.whole:
            return self.outputs.tensors
        count = self.stop - self.start
        return tuple(
            Tensor(t.name, t.datatype, (count, *t.shape[1:]), t.rows(self.start, self.stop))
            for t in self.outputs.tensors
        )


class Caller(Protocol):
    """Where an answer goes: an edge's side of a request."""

    def answered(self, request: Request, outcome: Answer | ServingError) -> None:
        """Called exactly once, on the loop's thread, perhaps before `accept` returns; must not raise."""


class CallerContext(NamedTuple):
    """What a caller said of its own trace, and its name for the request.

    `traceparent` is valid or b"", `tracestate` fit to be sent back; `request_id` is as it came.
    """

    traceparent: bytes = b""
    tracestate: bytes = b""
    request_id: bytes = b""


class Holder(Protocol):
    """Whoever counts a request's rows and bytes until it is answered or leaves."""

    def released(self, request: Request) -> None:
        """The request no longer waits: free what was counted for it."""


class Request:
    """One prediction asked for: a plain object that is answered once.

    `version` is None where the route decides. `inputs` stand in the caller's order until `accept` puts them in the
    signature's. `deadline_s` is on the monotonic clock, `timeout_s` what the caller asked for (None: the model's own).
    `received_at` is when its last byte came, `accepted_at` when it was decoded, `queued_at` when its way was known,
    `taken_at` when the batch was that it is in, 0 before that.
    `rows`, `size` (bytes), `group` (trailing shapes that must be equal within a batch), `queued_rows` (not yet taken)
    and `alone` are set once the request is accepted, before that `chosen` (the version that answers it) and `variant`
    (what the route calls that).
    `priority` is 1 for what should leave its queue first, 2 and more for what may wait; 0 is the model's default.
    `predicted_s` is how long it was expected to take when it was let in; 0 where nobody looked that closely.

    `entities` are instances whose features are looked up (serving.features.entity_rows) and from which the inputs are
    made; `degraded` then tells which values were defaults, `features_s` how long the look-up took.

    `judged` is the arm of a trial that its outcome counts for (serving.request_path.arm); None outside of trials.
    `id_json` is the id that its caller gave it, as JSON; empty where there is none. `context` is None where the caller
    said nothing of its trace, and gave no x-request-id.
    """

    __slots__ = (
        "accepted_at",
        "alone",
        "caller",
        "chosen",
        "context",
        "deadline_s",
        "degraded",
        "entities",
        "features_s",
        "group",
        "holders",
        "id_json",
        "inputs",
        "judged",
        "key",
        "model",
        "pinned",
        "predicted_s",
        "priority",
        "queued_at",
        "queued_rows",
        "received_at",
        "rows",
        "size",
        "taken_at",
        "timeout_s",
        "variant",
        "version",
        "waiting",
    )

    def __init__(
        self, model: str, inputs: Sequence[Tensor], caller: Caller, received_at: float, *, version: int | None = None
    ) -> None:
        self.model = model
        self.version = version
        self.inputs = inputs
        self.caller = caller
        self.received_at = received_at
        self.accepted_at = received_at
        self.queued_at = received_at
        self.taken_at = 0.0
        self.timeout_s: float | None = None
        self.deadline_s = 0.0
        self.key: bytes | None = None
        self.pinned: str | None = None
        self.priority = 0
        self.predicted_s = 0.0
        self.chosen: VersionKey | None = None
        self.variant = ""
        self.rows = 1
        self.size = 0
        self.group: Hashable = None
        self.queued_rows = 0
        self.alone = False
        self.waiting = True
        self.entities: object = None
        self.degraded = ""
        self.features_s = 0.0
        self.judged: object = None
        self.id_json = b""
        self.context: CallerContext | None = None
        self.holders: tuple[Holder, ...] = ()

    def reply(self, outcome: Answer | ServingError) -> None:
        """Answer the caller, once; later calls do nothing, so a late answer is dropped. Never raises."""
        if self.waiting:
            self._settle()
            try:
                self.caller.answered(self, outcome)
            except Exception:
                # Edges promise not to raise. Were one to, the rest of a batch, of a queue that is told that nobody is
                # left, or of those whose time is up would wait for ever.
                log.exception("an answer could not be handed to its edge")

    def leave(self) -> None:
        """The caller has gone: free what is counted for it and never answer."""
        if self.waiting:
            self._settle()

    def _settle(self) -> None:
        self.waiting = False
        for holder in self.holders:
            holder.released(self)
        self.holders = ()
        self.inputs = ()


@dataclass(frozen=True, slots=True)
class Hosted:
    """A version that is loaded, warm and can run now.

    `batchable` was proven at warm-up by comparing rows alone and together; `note` says why it was not, if so.
    `max_rows` is 0 where the model sets no bound of its own. `run_s` is the measured time of one warm row.
    """

    key: VersionKey
    signature: Signature
    batchable: bool
    note: str = ""
    max_rows: int = 0
    # A measurement differs from replica to replica; it must not make the same version look like another one.
    run_s: float = field(default=0.0, compare=False)
