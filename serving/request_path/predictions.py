"""What an edge sees of the request path: whom it hands requests to, and what it may ask about models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from serving.errors import ServingError
from serving.features.plan import ReadPlan
from serving.inference import Request, Signature
from serving.request_path.administration import Administration


@dataclass(frozen=True, slots=True)
class RunFacts:
    """How a version's requests run: how many rows together, how many batches at once, how long they may take and wait.

    `priority_levels` and `default_priority`: see `serving.batching.row_queue`.
    """

    batchable: bool = False
    max_rows: int = 1
    at_once: int = 1
    queue_rows: int = 4_096
    deadline_s: float = 1.0
    priority_levels: int = 1
    default_priority: int = 1


@dataclass(frozen=True, slots=True)
class Description:
    """One version as its callers need to know it; `versions` are all that answer by their number.

    `plan` is None where its inputs are tensors and nothing else.
    """

    model: str
    version: int
    versions: tuple[int, ...]
    signature: Signature
    platform: str = "onnxruntime_onnx"
    ready: bool = True
    plan: ReadPlan | None = None
    runs: RunFacts = RunFacts()


# What the instances of a request are read by: a plan where inputs are made of features, else input names.
InstanceForm = ReadPlan | Signature


class Predictions(Protocol):
    """Every edge stands on this, and on nothing else behind it; all calls are made on the loop's thread."""

    @property
    def administration(self) -> Administration:
        """Whom to ask about the whole session, and to change it."""

    def accept(self, request: Request) -> None:
        """Take the request and answer it once through `request.reply`, perhaps at once; never raises."""

    def describe(self, model: str, version: int | None) -> Description:
        """The version that answers, or the one asked for.

        Raises:
            UnknownModel: no such model, or no such version of it.
            NotReady: it is routed, but nothing that lives has told its signature yet.
        """

    def instance_form(self, model: str, version: int | None) -> InstanceForm:
        """What V1 instances are read by; quick, since every such request needs it.

        Raises:
            UnknownModel, NotReady: see `describe`.
            ModelUnservable: its inputs are made of features, but not as the configuration says.
        """

    def models(self) -> list[str]:
        """Names of the models that have a route, sorted."""

    def ready(self) -> bool:
        """Whether every routed pool could be asked once, and one still can."""

    def refusal(
        self,
        model: str,
        version: int | None,
        timeout_s: float | None = None,
        priority: int = 0,
        pinned: str | None = None,
    ) -> ServingError | None:
        """Why a request would be refused before its body is read: unknown model, full queue, no time; else None.

        `timeout_s` is what its headers allow, `priority` the level and `pinned` the variant that they ask for, if they
        do. Where several variants may answer it, each of them would refuse it.

        Asked at the end of the headers, before a body is read, so it must be quick (below a microsecond).
        """
