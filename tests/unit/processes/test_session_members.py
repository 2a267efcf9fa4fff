"""Whose processes a session may end."""

from __future__ import annotations

from serving.processes.session_members import members


def test_a_leader_that_was_never_started_has_no_members() -> None:
    # Everything that was started outside of a container, and every kernel thread, is of kernel session 0 inside it.
    assert members("a session that nobody has", {0: ""}) == set()
