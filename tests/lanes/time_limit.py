"""How a test that hangs is ended: what it said and every thread's stack are shown, and its process ends at once.

In place of pytest-timeout's own ways: a signal is not seen before the loop turns where uvloop runs, and what its thread
shows is lost where output is captured.
"""

from __future__ import annotations

import faulthandler
import os
import threading

import pytest
from pytest_timeout import Settings

# The thread needs the interpreter's lock, which native code that never comes back may hold; this long after it the
# watchdog of faulthandler, which needs nothing, ends the process all the same.
_STUCK_S = 10.0


class TimeLimit:
    """Implements pytest-timeout's hooks; `errors` is the error output that the process began with."""

    def __init__(self, errors: int) -> None:
        self._errors = errors
        self._timer = threading.Timer(0, lambda: None)

    @pytest.hookimpl(tryfirst=True)
    def pytest_timeout_set_timer(self, item: pytest.Item, settings: Settings) -> bool:
        """Begin to count for this test."""
        self._timer = threading.Timer(settings.timeout, self._end, (item, settings.timeout))
        self._timer.start()
        faulthandler.dump_traceback_later(settings.timeout + _STUCK_S, exit=True, file=self._errors)
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_timeout_cancel_timer(self, item: pytest.Item) -> bool:
        """It came back in time."""
        del item
        faulthandler.cancel_dump_traceback_later()
        self._timer.cancel()
        # It was not started where a file could not be collected.
        if self._timer.is_alive():
            self._timer.join()
        return True

    def _end(self, item: pytest.Item, limit_s: float) -> None:
        try:
            self._say(f"\n+++ {item.nodeid} took more than {limit_s:g} s; what it said:\n{_captured(item)}\n")
            faulthandler.dump_traceback(file=self._errors)
            self._say("+++\n")
        finally:
            os._exit(1)

    def _say(self, text: str) -> None:
        os.write(self._errors, text.encode(errors="replace"))


def _captured(item: pytest.Item) -> str:
    capturing = item.config.pluginmanager.getplugin("capturemanager")
    if capturing is None:
        return ""
    capturing.suspend_global_capture()
    return "".join(capturing.read_global_capture())
