"""What only the session answers, as messages."""

from __future__ import annotations

import asyncio
import threading

import pytest

from serving.edge.grpc import orders
from serving.edge.grpc.rendering import framed
from serving.edge.grpc.status import Code
from serving.edge.statistics import statistics_document
from serving.protocol.open_inference import ModelStatisticsRequest, ModelStatisticsResponse
from serving.testing.administration import FakeAdministration
from serving.testing.predictions import FakePredictions
from tests.unit.edge.grpc.wire import Wire

STATISTICS = b"/inference.GRPCInferenceService/ModelStatistics"


async def test_statistics_are_written_beside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    writers = []
    document = statistics_document

    def written(used: object) -> object:
        writers.append(threading.current_thread())
        return document(used)  # type: ignore[arg-type]

    monkeypatch.setattr(orders, "statistics_document", written)
    predictions = FakePredictions()
    predictions.administration = FakeAdministration()
    wire = Wire(predictions=predictions).greet()
    number = wire.begin(STATISTICS)
    wire.client.send_data(number, framed(ModelStatisticsRequest(name="mlp").SerializeToString()), end_stream=True)
    wire.pump()
    await asyncio.gather(*wire.edge.orders)
    await asyncio.sleep(0)
    wire.take()
    assert wire.calls[number].status == Code.OK
    assert ModelStatisticsResponse.FromString(wire.calls[number].data[5:]).model_stats[0].name == "mlp"
    assert writers
    assert threading.main_thread() not in writers
