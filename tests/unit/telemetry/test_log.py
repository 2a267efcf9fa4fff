"""Log lines hold no payload and no secret, and writing one never fails."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest

from serving.errors import BadRequest
from serving.telemetry.log import Form, LineFormatter, LogSettings, configure_logging, use_log_settings, with_level


def written(form: Form, **facts: object) -> str:
    record = logging.LogRecord("serving.part", logging.INFO, __file__, 1, "worker started", (), None)
    record.created, record.process, record.facts = 1_700_000_000.25, 7, facts
    return LineFormatter(form).format(record)


@pytest.fixture
def _own_logging() -> Iterator[None]:
    """The process's logging as it was before the test."""
    root = logging.getLogger()
    before = root.handlers[:], root.level, logging.raiseExceptions
    yield
    root.handlers[:], root.level, logging.raiseExceptions = before


def test_text_lines_have_quotes_where_blanks_demand_them() -> None:
    assert written("text", slot=1, why='it "was" slow', ok=True) == (
        "time=2023-11-14T22:13:20.250Z level=info logger=serving.part process=7 "
        'event="worker started" slot=1 why="it \\"was\\" slow" ok=true'
    )


def test_json_lines_keep_the_types() -> None:
    assert json.loads(written("json", slot=1, took_s=0.5, models=["a"])) == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "info",
        "logger": "serving.part",
        "process": 7,
        "event": "worker started",
        "slot": 1,
        "took_s": 0.5,
        "models": ["a"],
    }


@pytest.mark.parametrize("name", ["secret", "api_token", "Authorization", "redis_password", "cookie", "apikey"])
@pytest.mark.parametrize("form", ["json", "text"])
def test_what_is_named_like_a_secret_is_hidden_also_inside(form: Form, name: str) -> None:
    assert "hunter2" not in written(form, **{name: "hunter2"}, config={"deep": {name: "hunter2"}})


def test_the_password_of_an_address_is_hidden() -> None:
    assert "redis://***@host:6379/0" in written("text", url="redis://user:hunter2@host:6379/0")


def test_bytes_are_counted_and_long_texts_cut() -> None:
    line = written("json", body=b"\x00" * 500, text="x" * 10_000)
    assert '"<500 bytes>"' in line
    assert len(line) < 3000


def test_one_event_is_one_line_whatever_the_facts_hold() -> None:
    for form in ("json", "text"):
        assert written(form, text="a\nb\r\x1b[2J").count("\n") == 0


@pytest.mark.usefixtures("_own_logging")
def test_an_exception_is_part_of_its_line() -> None:
    stream = io.StringIO()
    configure_logging("text", stream)
    try:
        int("no such thing")
    except ValueError:
        logging.getLogger("serving.part").exception("a batch failed")
    assert stream.getvalue().count("\n") == 1
    assert "no such thing" in stream.getvalue()


class Unspeakable:
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.usefixtures("_own_logging")
def test_writing_never_fails() -> None:
    closed = io.StringIO()
    configure_logging("json", closed)
    closed.close()
    logging.getLogger("serving.part").error("lost")
    configure_logging("json", io.StringIO())
    logging.getLogger("serving.part").warning("odd %s", Unspeakable())


def test_severities_are_written_as_the_settings_want(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    try:
        configure_logging("text", stream)
        for settings, written in (
            (LogSettings(), "info warning error"),
            (LogSettings(info=False), "warning error"),
            (LogSettings(warning=False, verbose=1), "debug info error"),
            (LogSettings(error=False), "info warning"),
        ):
            use_log_settings(settings)
            stream.seek(0)
            stream.truncate()
            log = logging.getLogger("of-a-test")
            for severity in ("debug", "info", "warning", "error"):
                getattr(log, severity)("said")
            assert re.findall(r"level=(\w+) ", stream.getvalue()) == written.split()
    finally:
        root.handlers[:] = before
        root.setLevel(level)


def test_a_logger_has_a_level_of_its_own_until_that_is_taken_back() -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()

    def written(settings: LogSettings) -> list[tuple[str, str]]:
        use_log_settings(settings)
        stream.seek(0)
        stream.truncate()
        for name in ("of-a-test", "of-a-test.part", "of-a-test.part.file"):
            for severity in ("debug", "info", "error"):
                getattr(logging.getLogger(name), severity)("said")
        return re.findall(r"level=(\w+) logger=of-a-test(\S*)", stream.getvalue())

    others = [("info", ""), ("error", "")]
    try:
        configure_logging("text", stream)
        louder = LogSettings(levels={"of-a-test.part": "debug"})
        both = [(severity, f".part{name}") for name in ("", ".file") for severity in ("debug", "info", "error")]
        assert written(louder) == [*others, *both]
        quieter = LogSettings(info=False, verbose=1, levels={"of-a-test": "error", "of-a-test.part.file": "info"})
        assert written(quieter) == [("error", ""), ("error", ".part"), ("info", ".part.file"), ("error", ".part.file")]
        of_all = LogSettings(verbose=1, levels={"root": "error", "of-a-test.part.file": "info"})
        assert written(of_all) == [("error", ""), ("error", ".part"), ("info", ".part.file"), ("error", ".part.file")]
        assert len(written(LogSettings(levels={"root": "debug"}))) == 9
        assert len(written(LogSettings())) == 6
    finally:
        use_log_settings(LogSettings())
        root.handlers[:] = before
        root.setLevel(level)


def test_a_level_is_changed_and_taken_back() -> None:
    settings = with_level(with_level(LogSettings(verbose=1), "serving.edge", "error"), "serving", "debug")
    assert settings == LogSettings(verbose=1, levels={"serving.edge": "error", "serving": "debug"})
    assert with_level(settings, "serving.edge", None).levels == {"serving": "debug"}
    for logger, wrong in (("", "debug"), ("serving.", "debug"), ("two words", "debug"), ("serving", "loud")):
        with pytest.raises(BadRequest, match=r"is no (logger|level)"):
            with_level(settings, logger, wrong)
    for number in range(98):
        settings = with_level(settings, f"asyncio.of{number}", "info")
    with pytest.raises(BadRequest, match="100 loggers have"):
        with_level(settings, "asyncio.one_more", "info")


def test_a_level_of_a_logger_that_there_is_no_more_is_taken_back_all_the_same() -> None:
    before = LogSettings(levels={"serving.of_a_former_release": "debug"})
    with pytest.raises(BadRequest, match=r"there is no logger 'serving\.of_another"):
        with_level(before, "serving.of_another_release", "debug")
    assert with_level(before, "serving.of_a_former_release", None).levels == {}


def test_a_password_in_an_address_is_hidden_wherever_it_stands() -> None:
    for address in (
        "redis://:hunter2@a:1/0",
        "unix:///a.sock?db=1&password=hunter2",
        "redis://a/?sentinel_password=hunter2#x",
    ):
        assert "hunter2" not in written("text", event=f"the Redis at {address} is away")
