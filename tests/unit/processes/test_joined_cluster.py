"""A worker joins the cluster in the background: a head that does not answer costs a line of the log and no more."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from serving.processes import cluster_address, joined_cluster
from serving.processes.joined_cluster import JoinedCluster


async def test_a_head_that_does_not_answer_is_told_of_and_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[str] = []

    def join(run_dir: Path, address: str) -> None:
        asked.append(address)
        if len(asked) == 1:
            raise ConnectionError("Failed to connect")

    monkeypatch.setattr(joined_cluster, "join", join)
    monkeypatch.setattr(joined_cluster, "_LOOK_S", 0.0)
    monkeypatch.setattr(joined_cluster, "delay_s", lambda strikes: 0.0)
    cluster_address.tell(tmp_path, "127.0.0.1:1")
    cluster = JoinedCluster(tmp_path)
    with caplog.at_level(logging.WARNING):
        cluster.start()
        async with asyncio.timeout(5):
            await cluster.joined()
        cluster.stop()
        await asyncio.sleep(0)
    assert asked == ["127.0.0.1:1"] * 2
    assert "the Ray cluster at 127.0.0.1:1 cannot be joined: Failed to connect" in caplog.text
