"""Whole sessions answer the same question alike over HTTP and gRPC; `tests/contract` has all the rest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest

from tests.e2e.grpc_client import arrays_of, infer_on, raw_request, typed_request
from tests.e2e.odd_models import ODD, Odd
from tests.e2e.sluice_up import SluiceUp
from tests.e2e.tensors import infer_document, outputs_of, same


@pytest.fixture
def infer(gateway: SluiceUp) -> Iterator[Any]:
    """ModelInfer of the session."""
    with grpc.insecure_channel(f"127.0.0.1:{gateway.grpc_port}") as channel:
        yield infer_on(channel)


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.model)
def test_both_edges_answer_alike(gateway: SluiceUp, infer: Any, odd: Odd) -> None:
    random = np.random.default_rng(len(odd.model))
    with gateway.connect() as connection:
        for rows in odd.rows:
            inputs = odd.make(random, rows)
            by_json = outputs_of(connection.post(f"/v2/models/{odd.model}/infer", infer_document(inputs)))
            same(arrays_of(infer(raw_request(odd.model, inputs), timeout=20)), by_json)
            same(arrays_of(infer(typed_request(odd.model, inputs), timeout=20)), by_json)
