"""Levels are of loggers that there are."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from serving.config.logs_section import LogsSection


def test_levels_of_loggers_that_there_are_are_taken() -> None:
    levels = {"serving": "debug", "serving.batching.micro_batcher": "error", "uvicorn": "warning"}
    assert LogsSection.model_validate({"levels": levels}).levels == levels


@pytest.mark.parametrize("logger", ["serving.batchin", "servng.batching"])
def test_one_that_there_is_not_is_named_with_what_comes_near(logger: str) -> None:
    with pytest.raises(ValidationError, match=rf"there is no logger '{logger}'; did you mean serving\.batching"):
        LogsSection.model_validate({"levels": {logger: "debug"}})
