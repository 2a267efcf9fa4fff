"""A short temporary directory: unix sockets in pytest's own would have too long a path."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def temp() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="sx"))
    yield path
    shutil.rmtree(path, ignore_errors=True)
