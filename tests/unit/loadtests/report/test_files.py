"""Results read back."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from loadtests.report.files import read_result
from serving.errors import ConfigInvalid
from tests.unit.loadtests.report.made import result


def test_a_file_with_another_verdict_is_no_result(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    file.write_bytes(orjson.dumps(result()))
    assert read_result(file)["name"] == "made"
    file.write_bytes(orjson.dumps(result() | {"verdict": "<b>good</b>"}))
    with pytest.raises(ConfigInvalid, match="has no verdict; permitted: passed"):
        read_result(file)
