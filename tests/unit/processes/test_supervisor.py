"""What a supervisor has done once the parts of its session run."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from serving.processes import run_dir, running_sessions, supervisor
from serving.processes.session_plan import SessionPlan
from serving.processes.start_message import StartMessage
from serving.processes.supervisor import Supervisor
from serving.telemetry.fleet_counts import FleetCounts


class Gateways:
    def answer_by(self, obey: object) -> None:
        pass

    async def start(self) -> None:
        pass

    async def ready_within(self, patience_s: float) -> bool:
        await asyncio.Event().wait()
        return True


async def done() -> None:
    pass


@pytest.mark.usefixtures("channels_closed")
@pytest.mark.parametrize("url", ["redis://nowhere:1/0", ""])
async def test_rollouts_that_an_earlier_session_began_are_known_before_any_order(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    looked_up: list[object] = []
    parts: Any = SimpleNamespace(
        start=StartMessage("s", "ray", "/r", "/r", control_url=url),
        gateways=Gateways(),
        guardian=SimpleNamespace(start=done),
        faults=SimpleNamespace(look_up_in=looked_up.append),
        counts=FleetCounts(),
        sockets=SimpleNamespace(metrics=None),
        engine=None,
        control=None,
        valkeys=(),
        estimates_file=None,
    )
    monkeypatch.setattr(supervisor, "open_sockets", lambda _: None)
    monkeypatch.setattr(supervisor, "assembled", lambda *_: parts)
    monkeypatch.setattr(supervisor, "registration", lambda *_: None)
    monkeypatch.setattr(running_sessions, "write", lambda _: None)
    monkeypatch.setattr(run_dir, "sweep", list)
    await Supervisor(SessionPlan(engine="ray"), lambda _: None).start()
    assert len(looked_up) == (1 if url else 0)
