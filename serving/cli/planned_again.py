"""A running session's plan as its file, its environment and its repository make it now."""

from __future__ import annotations

from serving.cli.config_check import compared
from serving.cli.failure import CommandFailed
from serving.cli.session_models import Planned, planned
from serving.cli.session_options import SessionOptions
from serving.errors import ConfigInvalid
from serving.processes.session_plan import SessionPlan


class PlannedAgain:
    """`options` are the session's own flags; `session` is what it began with."""

    def __init__(self, options: SessionOptions, session: Planned) -> None:
        self._options = options
        self._settings = session.settings

    def __call__(self) -> SessionPlan:
        """The plan; other settings than those before are held against the graphs of models first.

        Raises:
            ConfigInvalid: the configuration, or what it says of models, cannot be used.
        """
        settings = self._options.effective().settings
        try:
            session = planned(settings)
        except CommandFailed as failed:
            raise ConfigInvalid(failed.message) from failed
        if session.settings != self._settings:
            found = compared(settings)
            if found.problems:
                raise ConfigInvalid(found.message())
        # Remembered before the session follows it: judged again, it is found to be as good.
        self._settings = session.settings
        return session.plan
