"""A request path made of canned answers, for tests and measurements of an edge alone."""

from __future__ import annotations

import struct
from collections.abc import Callable

from serving.errors import ServingError, UnknownModel
from serving.inference import Answer, CallerContext, Outputs, Request, Signature, Tensor, TensorSpec, VersionKey
from serving.request_path.administration import NOBODY, Administration
from serving.request_path.predictions import Description, InstanceForm

ANY = -1
MEAN = Signature((TensorSpec("input", "FP32", (ANY, ANY)),), (TensorSpec("mean", "FP32", (ANY, 1)),))

Reply = Callable[[Request], Answer | ServingError]


class FakePredictions:
    """Serves models that answer each row with the mean of its values, or with whatever `reply` returns.

    With `hold` requests are kept in `held` until `release`; all that were accepted are in `accepted` if `keep`.
    """

    def __init__(self, signature: Signature = MEAN, *, hold: bool = False, reply: Reply | None = None) -> None:
        self.described = {"mlp": Description("mlp", 3, (1, 2, 3), signature)}
        self.refusals: dict[str, ServingError] = {}
        self.administration: Administration = NOBODY
        self.is_ready = True
        self.hold = hold
        self.keep = True
        self.reply = reply or mean_answer
        self.accepted: list[Request] = []
        self.held: list[Request] = []
        # What heads said of time, priority and variant.
        self.asked_ahead: list[tuple[float | None, int, str | None]] = []

    def accept(self, request: Request) -> None:
        """Answer at once, or hold."""
        if self.keep:
            self.accepted.append(request)
        if self.hold:
            self.held.append(request)
        else:
            request.reply(self.reply(request))

    def release(self) -> None:
        """Answer all that are held, in the order of their arrival."""
        held, self.held = self.held, []
        for request in held:
            if request.waiting:
                request.reply(self.reply(request))

    def describe(self, model: str, version: int | None) -> Description:
        """The canned description.

        Raises:
            UnknownModel: it is not among `described`.
        """
        known = self.described.get(model)
        if known is None or version not in (None, *known.versions):
            raise UnknownModel(f"unknown model {model!r}; known are {', '.join(self.described)}")
        return known

    def instance_form(self, model: str, version: int | None) -> InstanceForm:
        """Of the canned description; raises as `describe` does."""
        described = self.describe(model, version)
        return described.plan or described.signature

    def models(self) -> list[str]:
        """Names of all that are described."""
        return sorted(self.described)

    def ready(self) -> bool:
        """As set by the test."""
        return self.is_ready

    def refusal(
        self,
        model: str,
        version: int | None,
        timeout_s: float | None = None,
        priority: int = 0,
        pinned: str | None = None,
    ) -> ServingError | None:
        """As set by the test; unknown models are refused."""
        del version
        if self.keep:
            self.asked_ahead.append((timeout_s, priority, pinned))
        if self.refusals:
            return self.refusals.get(model)
        return None if model in self.described else UnknownModel(f"unknown model {model!r}")


def mean_answer(request: Request) -> Answer:
    """The mean of each row of the first input (FP32), as output `mean` of shape [rows, 1]."""
    tensor = request.inputs[0]
    rows = tensor.shape[0]
    values = struct.unpack(f"<{len(tensor.data) // 4}f", tensor.data)
    width = len(values) // rows
    means = [sum(values[row * width : (row + 1) * width]) / width for row in range(rows)]
    data = struct.pack(f"<{rows}f", *means)
    return answer_of(request, (Tensor("mean", "FP32", (rows, 1), data),))


def answer_of(request: Request, tensors: tuple[Tensor, ...], *, whole: bool = False) -> Answer:
    """All of `tensors` as the answer to one request, from version 3 as stable."""
    rows = tensors[0].shape[0] if tensors[0].shape else 1
    key = VersionKey(request.model, 3)
    return Answer(Outputs(tensors), 0, rows, whole, key, "stable", queue_s=0.0001, run_s=0.0002)


class RecordingObserver:
    """Remembers what was refused."""

    def __init__(self) -> None:
        self.refusals: list[tuple[str, str]] = []
        self.contexts: list[CallerContext | None] = []
        self.batches: list[object] = []

    def batch_seen(self, seen: object) -> None:
        """Remember it."""
        self.batches.append(seen)

    def refused(self, model: str, reason: str, context: CallerContext | None = None) -> None:
        """Remember it."""
        self.refusals.append((model, reason))
        self.contexts.append(context)

    def failed(self, key: VersionKey, total_s: float, rows: int, reason: str) -> None:
        """Of no interest to an edge."""
