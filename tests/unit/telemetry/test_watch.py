"""What looks at requests is called between the answers of others: whatever happens there stays there."""

from __future__ import annotations

from typing import Any

import pytest

from serving.errors import DeadlineExceeded
from serving.observation import BatchSeen, Flown
from serving.telemetry.watch import Watch
from tests.unit.telemetry.tracing.bench import KEY, request


class Broken:
    def batch_answered(self, *seen: object) -> Any:
        raise ZeroDivisionError

    refused = turned_away = batch_answered


@pytest.mark.parametrize("watch", [Watch(Broken(), None), Watch(None, Broken())], ids=["tracer", "log"])
def test_what_it_raises_reaches_nobody_and_is_told_ever_more_rarely(
    watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    one = request()
    seen = BatchSeen(KEY, "stable", 1, [0.0], [0.0], 0.0, 0.0, [0.0])
    for _ in range(3):
        watch.batch_answered(seen, Flown([one], 0.0, 0.0, 0.0))
        watch.refused(one, DeadlineExceeded("late"), 1.0)
        watch.turned_away("", "unknown_path", None)
    assert [record.getMessage().rpartition("far ")[2] for record in caplog.records] == [
        f"{times} times" for times in (1, 2, 4, 8)
    ]
    assert "ZeroDivisionError" in caplog.text
