"""Log lines for machines and people: one line an event, no payloads, secrets hidden; logging never fails."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TextIO

from serving.errors import BadRequest
from serving.telemetry.loggers import ROOT, why_unknown

Form = Literal["json", "text"]

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_MOST_LEVELS = 100
_SECRET = re.compile(r"secret|token|password|passwd|authorization|api_?key|credential|cookie", re.IGNORECASE)
# The password of an address such as redis://user:password@host.
_USERINFO = re.compile(r"(?<=://)[^/@\s]+(?=@)")
# The other place that Redis clients, ours too, read it from.
_OPTION = re.compile(r"(?<=[?&_]password=)[^&#\s]*")
_LONGEST = 2000
_SET_HERE = "level_set_by_sluice"


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Which records are written, by their severity; `verbose` above 0 writes debugging too. The rest stays as it is.

    `levels` are those of single loggers, and of all below them; the nearest one decides, and severities do not.
    """

    info: bool = True
    warning: bool = True
    error: bool = True
    verbose: int = 0
    levels: Mapping[str, str] = field(default_factory=dict)

    def wants(self, level: int, logger: str = "") -> bool:
        """Whether a record of this level of the standard library's is written."""
        own = self._level_of(logger) if self.levels else None
        if own is not None:
            return level >= own
        if level >= logging.ERROR:
            return self.error
        if level >= logging.WARNING:
            return self.warning
        return self.info if level >= logging.INFO else self.verbose > 0

    def _level_of(self, logger: str) -> int | None:
        while logger:
            level = self.levels.get(logger)
            if level is not None:
                return LEVELS[level]
            logger = logger.rpartition(".")[0]
        level = self.levels.get(ROOT)
        return None if level is None else LEVELS[level]


class LineFormatter(logging.Formatter):
    """One line for each record of the standard library's logging, whatever its arguments and exception hold.

    What is passed as `extra={"facts": {...}}` is added by name.
    """

    def __init__(self, form: Form) -> None:
        super().__init__()
        self._form = form

    def format(self, record: logging.LogRecord) -> str:
        """Time (UTC), level, logger, event, facts, and the exception's last line with where it was raised."""
        facts = {
            "time": stamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "event": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            facts["exception"] = self.formatException(record.exc_info)
        return log_line(self._form, safe(facts))


def configure_logging(form: Form = "text", stream: TextIO | None = None) -> None:
    """Have every logger of this process write such lines to `stream` (standard error) from level info.

    A line that cannot be written is dropped: a full disk or a closed pipe must not fail a prediction.
    """
    logging.raiseExceptions = False
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter(form))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def use_log_settings(settings: LogSettings) -> None:
    """Have this process write what `settings` wants from now on; `configure_logging` came before."""
    root = logging.getLogger()
    for name, logger in list(root.manager.loggerDict.items()):
        # Only what was set here before, or is to be: libraries have levels of their own.
        if isinstance(logger, logging.Logger) and getattr(logger, _SET_HERE, False) and name not in settings.levels:
            logger.setLevel(logging.NOTSET)
            delattr(logger, _SET_HERE)
    for name, level in settings.levels.items():
        own = logging.getLogger(name)
        own.setLevel(LEVELS[level])
        setattr(own, _SET_HERE, True)
    if ROOT not in settings.levels:
        root.setLevel(logging.DEBUG if settings.verbose else logging.INFO)
    for handler in root.handlers:
        for former in [each for each in handler.filters if isinstance(each, _Wanted)]:
            handler.removeFilter(former)
        handler.addFilter(_Wanted(settings))


def with_level(settings: LogSettings, logger: str, level: str | None) -> LogSettings:
    """The settings with another level of a logger, and of all below it; None has it write as the others do.

    Raises:
        BadRequest: there is no such logger, or that is no level.
    """
    unknown = why_unknown(logger)
    if unknown is not None and logger not in settings.levels:
        raise BadRequest(unknown)
    levels = {name: own for name, own in settings.levels.items() if name != logger}
    if level is not None:
        if level not in LEVELS:
            raise BadRequest(f"{level!r:.80} is no level; known are {', '.join(LEVELS)}")
        if len(levels) >= _MOST_LEVELS:
            raise BadRequest(f"{_MOST_LEVELS} loggers have a level of their own; take one back first")
        levels[logger] = level
    return replace(settings, levels=levels)


def configure_as_told(logs: Mapping[str, Any]) -> None:
    """The same as a session's section `logs` has it; of a session that has none, text from level info."""
    configure_logging(logs.get("format", "text"))
    use_log_settings(LogSettings(levels=logs.get("levels", {})))


class _Wanted(logging.Filter):
    def __init__(self, settings: LogSettings) -> None:
        super().__init__()
        self._settings = settings

    def filter(self, record: logging.LogRecord) -> bool:
        return self._settings.wants(record.levelno, record.name)


def log_line(form: Form, facts: Mapping[str, object]) -> str:
    """One line, whatever the facts hold: as JSON, or as key=value with quotes where blanks demand them."""
    if form == "json":
        return json.dumps(facts, default=str, ensure_ascii=False)
    return " ".join(f"{name}={_quoted(value)}" for name, value in facts.items())


def safe(facts: Mapping[str, object]) -> dict[str, object]:
    """Facts fit to be written: what is named like a secret is hidden, bytes are counted, long texts are cut."""
    return {name: "***" if _SECRET.search(name) else _safe_value(value) for name, value in facts.items()}


def _safe_value(value: object) -> object:
    match value:
        case bool() | int() | float() | None:
            return value
        case bytes() | bytearray() | memoryview():
            return f"<{len(value)} bytes>"
        case Mapping():
            return safe({str(key): item for key, item in value.items()})
        case list() | tuple() | set() | frozenset():
            return [_safe_value(item) for item in list(value)[:50]]
        case _:
            text = _OPTION.sub("***", _USERINFO.sub("***", str(value)))
            return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters)"


def _quoted(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    plain = text and not any(
        character.isspace() or character in '"=' or not character.isprintable() for character in text
    )
    return text if plain else json.dumps(text, ensure_ascii=False)


def stamp(seconds: float) -> str:
    """A time of the day in seconds since 1970, as lines have it: UTC, to the millisecond."""
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03d}Z"
