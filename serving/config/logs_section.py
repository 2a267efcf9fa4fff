"""The section of logs: their form, what of them is written, and the access log."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from serving.config.section import Section, noted
from serving.telemetry.loggers import why_unknown


def _known(logger: str) -> str:
    unknown = why_unknown(logger)
    if unknown is not None:
        raise PydanticCustomError("logger", "{unknown}", {"unknown": unknown})
    return logger


Logger = Annotated[
    str,
    Field(min_length=1, max_length=200, pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$"),
    AfterValidator(_known),
]
Level = Literal["debug", "info", "warning", "error"]


class LogsSection(Section):
    """What the session writes to its standard error, and its parts to files in its run directory."""

    format: Literal["text", "json"] = noted("One line an event: key=value for people, or JSON for machines.", "text")
    levels: dict[Logger, Level] = noted(
        "Levels by logger, which is a module of Sluice or all below it, such as `serving.batching: debug`; the others "
        "write from info, or what `root` says. `sluice logs level` changes them in a running session.",
        default_factory=dict,
    )
    access_sample: float | None = noted(
        "Share of the answered requests that have a line in the access log; errors always have one. Null: no access "
        "log.",
        None,
        ge=0,
        le=1,
    )
