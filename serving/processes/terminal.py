"""Tells a hang-up of the terminal from a SIGHUP that somebody sent: the first ends the session, the second rolls it."""

from __future__ import annotations

import os


def has_terminal() -> bool:
    """This process has a controlling terminal that is still there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
