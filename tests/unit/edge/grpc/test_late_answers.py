"""What the session answers later: it has room or is refused, and no client is left without a status."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from serving.edge.grpc.status import Code
from serving.protocol.open_inference import RepositoryIndexResponse
from serving.request_path.administration import IndexEntry, _Nobody
from serving.testing.predictions import FakePredictions
from tests.unit.edge.grpc.wire import Wire

INDEX = b"/inference.GRPCInferenceService/RepositoryIndex"
VERSIONS = 10_000


class _Many(_Nobody):
    """A session with so many versions that telling them takes more than 64 KB."""

    async def index(self) -> Sequence[IndexEntry]:
        await asyncio.sleep(0)
        return [IndexEntry("mlp", str(version), "READY") for version in range(VERSIONS)]


@pytest.mark.parametrize(("capacity", "status"), [(1 << 20, Code.OK), (1 << 16, Code.UNAVAILABLE)])
async def test_a_late_answer_is_given_or_refused_by_the_room_there_is(capacity: int, status: Code) -> None:
    predictions = FakePredictions()
    predictions.administration = _Many()
    wire = Wire(predictions=predictions).greet()
    wire.budget.capacity = capacity
    number = wire.begin(INDEX)
    wire.client.send_data(number, bytes(5), end_stream=True)
    wire.pump()
    for _ in range(20):
        await asyncio.sleep(0)
        wire.pump()
    ended = wire.calls[number]
    assert (ended.status, ended.over, wire.budget.used) == (status, True, 0)
    if status == Code.OK:
        assert len(RepositoryIndexResponse.FromString(ended.data[5:]).models) == VERSIONS
    else:
        assert b"http.in_flight_mb" in ended.headers[b"grpc-message"]
        assert wire.observer.refusals == [("", "overloaded")]
