"""The age of this process is what has passed since it was started."""

from __future__ import annotations

import time

from serving.cli.process_age import process_age_s


def test_the_age_covers_all_that_this_process_has_worked_and_grows() -> None:
    first = process_age_s()
    assert first > time.process_time() / 100
    assert process_age_s() >= first
