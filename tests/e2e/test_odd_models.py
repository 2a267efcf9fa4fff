"""Models that are served in unusual ways answer 32 callers at once as onnxruntime answers each request alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.callers import at_once, pipelined
from tests.e2e.http_client import Connection
from tests.e2e.odd_models import ODD, Inputs, Odd
from tests.e2e.scrape import BatchCount
from tests.e2e.sluice_up import SluiceUp
from tests.e2e.tensors import Array, infer_document, outputs_of, run_alone, same

CALLERS = 32
EACH = 6


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.model)
def test_each_of_32_callers_gets_what_its_own_request_alone_would(
    gateway: SluiceUp, repository: Path, odd: Odd
) -> None:
    model = repository / odd.model / "1" / "model.onnx"
    requests = [_requests(odd, caller) for caller in range(CALLERS)]
    expected = [[run_alone(model, inputs) for inputs in of_caller] for of_caller in requests]
    answers = _ask_at_once(gateway, odd.model, requests)
    for asked, given, right in zip(requests, answers, expected, strict=True):
        for inputs, answer, alone in zip(asked, given, right, strict=True):
            assert set(answer) == set(alone), inputs
            same(answer, alone)


def test_only_models_that_were_proven_share_batches(gateway: SluiceUp) -> None:
    count = BatchCount(gateway)
    rows = {}
    for odd in ODD:
        requests = [_requests(odd, caller) for caller in range(CALLERS)]
        _ask_at_once(gateway, odd.model, requests)
        rows[odd.model] = sum(_rows(inputs) for of_caller in requests for inputs in of_caller)
    count.end()
    for odd in ODD:
        batches = count.batches(odd.model)
        if odd.shares:
            assert count.rows(odd.model) == rows[odd.model], odd.model
            assert batches < CALLERS * EACH / 2, f"{odd.model}: {batches} batches, hardly any of several requests"
            assert count.largest(odd.model) > max(odd.rows), odd.model
        else:
            assert batches == CALLERS * EACH, f"{odd.model}: each request runs alone, whole"


def _requests(odd: Odd, caller: int) -> list[Inputs]:
    random = np.random.default_rng([caller, len(odd.model)])
    return [odd.make(random, int(random.choice(odd.rows))) for _ in range(EACH)]


def _ask_at_once(session: SluiceUp, model: str, requests: list[list[Inputs]]) -> list[list[dict[str, Array]]]:
    bodies = [[json.dumps(infer_document(inputs)).encode() for inputs in of_caller] for of_caller in requests]

    def ask(caller: int, connection: Connection) -> list[dict[str, Array]]:
        return [outputs_of(reply) for reply in pipelined(connection, f"/v2/models/{model}/infer", bodies[caller])]

    return at_once(session, len(requests), ask)


def _rows(inputs: Inputs) -> int:
    first = next(iter(inputs.values()))
    return first.shape[0] if first.ndim else 1
