"""A level of a logger that there is not would be taken and change nothing."""

from __future__ import annotations

import logging
import sys

import pytest

import serving.batching.micro_batcher
from serving.telemetry.access_log import log as access_log
from serving.telemetry.loggers import known, why_unknown


@pytest.mark.parametrize(
    "logger",
    [
        "serving",
        "serving.batching",
        "serving.telemetry.tracing.sender",
        access_log.name,
        "asyncio",
        "uvicorn.error",
        "root",
    ],
)
def test_what_there_is_is_taken(logger: str) -> None:
    assert why_unknown(logger) is None


@pytest.mark.parametrize(
    ("logger", "told"),
    [
        ("serving.batchin", "there is no logger 'serving.batchin'; did you mean serving.batching"),
        ("serving.edge.htpp", "did you mean serving.edge.http"),
        ("servng.batching", "there is no logger 'servng.batching'; did you mean serving.batching"),
        ("serving.nothing_of_the_kind", "known are serving, serving.access, serving.backends, "),
        ("nothing_of_the_kind", "known are serving, serving.access"),
        ("two words", "is no logger; name a module"),
        ("serving.", "is no logger; name a module"),
        ("", "is no logger; name a module"),
        (".." * 100, "is no logger; name a module"),
    ],
)
def test_what_there_is_not_is_told_with_what_comes_near(logger: str, told: str) -> None:
    text = why_unknown(logger)
    assert text is not None
    assert told in text
    assert len(text) < 700


def test_a_module_that_came_from_nowhere_is_no_logger(monkeypatch: pytest.MonkeyPatch) -> None:
    # As in a console script, where looking for it raises ValueError.
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    assert "there is no logger '__main__'; known are" in (why_unknown("__main__") or "")
    assert logging.getLogger("root") is logging.root


def test_every_logger_that_sluice_has_made_here_is_known() -> None:
    assert serving.batching.micro_batcher.__name__ in known()
    made = {name for name in logging.root.manager.loggerDict if name in sys.modules and name.startswith("serving.")}
    assert made <= known()
