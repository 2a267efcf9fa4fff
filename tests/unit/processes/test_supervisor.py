"""What a supervisor has done once the parts of its session run."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from serving.errors import ConfigInvalid
from serving.processes import run_dir, running_sessions, supervisor
from serving.processes.running_sessions import RunningSession
from serving.processes.session_plan import SessionPlan
from serving.processes.start_message import StartMessage
from serving.processes.supervisor import Supervisor
from serving.telemetry.fleet_counts import FleetCounts

RUNNING = RunningSession("s", 7, "then", "/r", "ray", "127.0.0.1", 8080, "127.0.0.1", None)


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


class Session:
    """One whose parts do nothing; remembers where it looks for trials, and what others find it by."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, control_url: str = "") -> None:
        self.looked_up: list[object] = []
        self.found: list[RunningSession] = []
        parts: Any = SimpleNamespace(
            start=StartMessage("s", "ray", "/r", "/r", control_url=control_url),
            gateways=Gateways(),
            guardian=SimpleNamespace(start=done),
            faults=SimpleNamespace(look_up_in=self.looked_up.append),
            counts=FleetCounts(),
            sockets=SimpleNamespace(metrics=None),
            engine=None,
            control=None,
            valkeys=(),
            estimates_file=None,
        )
        monkeypatch.setattr(supervisor, "open_sockets", lambda _: None)
        monkeypatch.setattr(supervisor, "assembled", lambda *_: parts)
        monkeypatch.setattr(supervisor, "registration", lambda *_: RUNNING)
        monkeypatch.setattr(running_sessions, "write", self.found.append)
        monkeypatch.setattr(run_dir, "sweep", list)
        self.supervisor = Supervisor(SessionPlan(engine="ray"), lambda _: None, self.plans)

    def plans(self) -> SessionPlan:
        raise ConfigInvalid("unknown key")


@pytest.mark.usefixtures("channels_closed")
@pytest.mark.parametrize("url", ["redis://nowhere:1/0", ""])
async def test_rollouts_that_an_earlier_session_began_are_known_before_any_order(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    session = Session(monkeypatch, url)
    await session.supervisor.start()
    assert len(session.looked_up) == (1 if url else 0)


@pytest.mark.usefixtures("channels_closed")
async def test_who_asks_for_a_reload_during_another_one_can_tell_them_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(monkeypatch)
    await session.supervisor.start()
    await asyncio.gather(session.supervisor.reload(), session.supervisor.reload())
    told = [(one.asked, one.answered, one.refused) for one in session.found]
    assert told == [(0, 0, 0), (1, 0, 0), (2, 0, 0), (2, 1, 1), (2, 2, 2)]
    assert session.found[-1].refusal == "unknown key"
