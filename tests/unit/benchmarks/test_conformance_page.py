"""The page of conformance is what its results say, and they are of every server."""

from __future__ import annotations

from pathlib import Path

from benchmarks.conformance.page import page


def test_the_page_is_made_of_the_last_results() -> None:
    written = (Path(__file__).parents[3] / "docs" / "conformance.md").read_text(encoding="utf-8")
    assert written == page(), "run `python -m benchmarks.conformance.page > docs/conformance.md`"


def test_a_server_that_does_not_advertise_what_it_does_right_is_told_so() -> None:
    assert "(pass)" in page()
    assert "pass unadvertised" in page()
