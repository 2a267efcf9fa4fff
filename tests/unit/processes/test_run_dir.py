"""Whose directory is swept: only one whose supervisor certainly lives no more."""

from __future__ import annotations

import os

from serving.processes.run_dir import Owner, this_machine
from serving.processes.session_members import started_at

ME = os.getpid()


def test_a_living_supervisor_keeps_its_directory() -> None:
    assert not Owner("s", ME, started_at(ME), this_machine()).dead()


def test_a_process_number_that_is_used_again_does_not_keep_it() -> None:
    assert Owner("s", ME, "1", this_machine()).dead()


def test_a_supervisor_of_another_container_or_boot_is_left_alone() -> None:
    assert not Owner("s", ME, "1", "elsewhere").dead()
