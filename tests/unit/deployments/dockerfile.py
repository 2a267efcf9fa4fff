"""A Dockerfile as a list of its instructions."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple


class Instruction(NamedTuple):
    """`COPY`, `RUN` and so on, with what follows it on one line."""

    word: str
    rest: str


def instructions(file: Path) -> list[Instruction]:
    """In order, without comments; lines that go on are joined."""
    text = re.sub(r"^\s*#.*\n", "", file.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [Instruction(word, rest) for line in text.splitlines() if line for word, _, rest in [line.partition(" ")]]


def copied(found: list[Instruction]) -> list[str]:
    """Every path of the checkout that is copied into the image."""
    own = [one.rest.split() for one in found if one.word == "COPY" and "--from" not in one.rest]
    return [source for words in own for source in words[:-1]]


def listed(found: list[Instruction], word: str) -> list[str]:
    """The words of an instruction that is written as a list."""
    (rest,) = (one.rest for one in found if one.word == word)
    words: list[str] = json.loads(rest)
    return words
