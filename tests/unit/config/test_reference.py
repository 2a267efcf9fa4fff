"""The page of settings is made from the schema and leaves nothing out."""

from __future__ import annotations

from serving.config.effective import effective
from serving.config.reference import page


def test_the_page_lists_every_setting_with_a_sentence() -> None:
    rows = [line.split(" | ") for line in page().splitlines() if line.startswith("| `")]
    listed = {row[0].strip("| `") for row in rows}
    for path, _, _ in effective(None, {}, {}).rows():
        if path[0] not in {"models", "feature_views"}:
            assert ".".join(path).replace("pools.default", "pools.<name>") in listed
    assert all(row[-1].strip(" |") for row in rows)
