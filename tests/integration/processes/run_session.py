"""`python -m tests.integration.processes.run_session PLAN`: a supervisor by itself, its events as JSON lines."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict

from serving.errors import ConfigInvalid
from serving.processes.events import Event
from serving.processes.session_plan import ServedModel, SessionPlan
from serving.processes.supervisor import Supervisor


def _tell(**facts: object) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


async def _run(plan: SessionPlan) -> None:
    def emit(event: Event) -> None:
        _tell(**asdict(event))
        if event.kind == "ready" and supervisor.running is not None:
            _tell(kind="running", **asdict(supervisor.running))

    supervisor = Supervisor(plan, emit)
    await supervisor.run()


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    given["models"] = tuple(ServedModel(**served) for served in given["models"])
    try:
        asyncio.run(_run(SessionPlan(**given)))
    except ConfigInvalid as error:
        _tell(kind="invalid", text=error.message)
        sys.exit(2)
