"""The server's own stages."""

from __future__ import annotations

from collections.abc import Callable
from http.client import BadStatusLine
from io import BytesIO

import pytest

from loadtests.running.server_stages import means_ms, near_look_ups, parsed, scraped

LINE = 'sluice_stage_seconds_{}{{model="m",stage="run"}} {}\n'


def broken(*_: object, **__: object) -> BytesIO:
    raise BadStatusLine("what is this")


@pytest.mark.parametrize("answer", [lambda *_, **__: BytesIO(b"\xff"), broken])
def test_a_load_is_not_lost_for_metrics_that_are_none(
    answer: Callable[..., BytesIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("urllib.request.urlopen", answer)
    assert scraped("http://127.0.0.1:8082/metrics") is None


def test_a_stage_s_mean_is_of_what_came_between_two_scrapes() -> None:
    before = parsed(LINE.format("sum", 1.0) + LINE.format("count", 10))
    after = parsed(LINE.format("sum", 1.5) + LINE.format("count", 110))
    assert means_ms(before, after) == {"run": 5.0}


NEAR = 'sluice_near_cache_look_ups_total{{outcome="{}"}} {}\n'


def test_rows_kept_near_are_counted_between_two_scrapes() -> None:
    before = parsed(NEAR.format("hit", 100) + NEAR.format("stale", 5))
    after = parsed(NEAR.format("miss", 20) + NEAR.format("hit", 180) + NEAR.format("stale", 5))
    assert list(near_look_ups(before, after).items()) == [("hit", 80), ("miss", 20)]
    assert near_look_ups(None, after) == near_look_ups(before, None) == {}
