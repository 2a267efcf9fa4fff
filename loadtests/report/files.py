"""A result read back, and written in every form."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from loadtests.report.page import page
from loadtests.report.texts import junit, markdown
from loadtests.running.result import SCHEMA, VERDICTS
from serving.errors import ConfigInvalid

_OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE


def read_result(file: Path) -> dict[str, Any]:
    """What `run --json` or `--report` wrote.

    Raises:
        ConfigInvalid: something else.
    """
    try:
        found = orjson.loads(file.read_bytes())
    except OSError as error:
        raise ConfigInvalid(f"{file} cannot be read: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise ConfigInvalid(f"{file} is no JSON: {error}") from error
    if not isinstance(found, dict) or "totals" not in found or found.get("schema") != SCHEMA:
        raise ConfigInvalid(
            f"{file} is no result of a load test that this version reads; `sluice loadtest run --json` writes one"
        )
    if found.get("verdict") not in VERDICTS:
        raise ConfigInvalid(f"{file} has no verdict; permitted: {', '.join(VERDICTS)}")
    return found


def write_reports(result: Mapping[str, Any], folder: Path) -> list[Path]:
    """`report.html`, `result.json`, `junit.xml` and `summary.md`.

    Raises:
        ConfigInvalid: the folder cannot be written.
    """
    contents = {
        "report.html": page(result).encode(),
        "result.json": orjson.dumps(result, option=_OPTIONS),
        "junit.xml": junit(result).encode(),
        "summary.md": markdown(result).encode(),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise ConfigInvalid(f"{folder} cannot be written: {error.strerror}") from error
    return [folder / name for name in contents]
