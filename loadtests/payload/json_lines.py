"""A payload from a file: one JSON object a line, with a path, a body and what is known of the answer."""

from __future__ import annotations

import re
from pathlib import Path

import orjson

from loadtests.payload.entry import Entry
from serving.errors import ConfigInvalid

MOST_ENTRIES = 200_000
MOST_BYTES = 512 * 1024 * 1024
# A blank or a line end would make another request of it.
_PATH = re.compile(r"/[!-~]*")
_KEYS = {"path", "body", "answer"}


def read(file: Path, path: str | None) -> list[Entry]:
    """Every line; `path` is for lines that name none.

    Raises:
        ConfigInvalid: names the first line that is no entry.
    """
    try:
        if file.stat().st_size > MOST_BYTES:
            raise ConfigInvalid(f"{file} has over {MOST_BYTES >> 20} MB; a sample of the requests will do")
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise ConfigInvalid(f"the payload {file} cannot be read: {error.strerror}") from error
    entries = [_entry(f"{file} line {number}", line, path) for number, line in enumerate(lines, 1) if line.strip()]
    if not 0 < len(entries) <= MOST_ENTRIES:
        raise ConfigInvalid(f"{file} has {len(entries):,} entries; permitted: 1 to {MOST_ENTRIES:,}")
    return entries


def _entry(where: str, line: bytes, path: str | None) -> Entry:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ConfigInvalid(f"{where} is no JSON: {error}") from error
    if not isinstance(found, dict) or "body" not in found or set(found) - _KEYS:
        raise ConfigInvalid(f"{where}: each line is {{path: ..., body: ..., answer: ...}}, of which body is needed")
    where_to = found.get("path", path)
    if not isinstance(where_to, str) or not _PATH.fullmatch(where_to):
        raise ConfigInvalid(f"{where} names no path that begins with / and has no blanks, and neither does the user")
    return Entry(where_to, found["body"], {"": found["answer"]} if "answer" in found else {})
