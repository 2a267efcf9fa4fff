"""Rescue: what the path of a request does not show, see test_predict.py for the rest."""

from __future__ import annotations

from collections.abc import Callable

from serving.errors import ReplicaLost
from serving.inference import Batch, Outputs
from serving.testing.backend import EchoBackend, row_of
from tests.unit.request_path.conftest import Bench

MakeBench = Callable[..., Bench]


async def test_a_suspect_that_had_not_begun_when_its_replica_was_lost_is_not_blamed_and_runs_again(
    make_bench: MakeBench,
) -> None:
    class Unlucky(EchoBackend):
        """The first run is present at a crash; the second waits behind another gateway's, which crashes too."""

        async def run(self, batch: Batch) -> Outputs:
            outputs = await super().run(batch)
            if len(self.batches) <= 2:
                raise ReplicaLost("the replica crashed", started=not batch.alone)
            return outputs

    bench = make_bench(Unlucky())
    unlucky = bench.ask(1)
    await bench.settle()
    assert unlucky.data == row_of(1)
    assert bench.backend.alone == [row_of(1), row_of(1)]
