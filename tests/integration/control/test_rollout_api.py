"""The control API of rollouts with a real Valkey, and a session that only remembers what it was asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from serving.control.app import control_app
from serving.control.session import ControlOptions
from tests.integration.valkey_server import Server
from tests.unit.rollouts.fake_store import FakeSession

TOKEN = "0123456789abcdefXYZ"
PLAN = {"steps": [{"weight": 10, "duration": "1m"}]}


@pytest.fixture
def session() -> FakeSession:
    return FakeSession()


@pytest.fixture
def app(server: Server, session: FakeSession) -> FastAPI:
    return control_app(session, ControlOptions("127.0.0.1", TOKEN, control_url=server.url))


@pytest.fixture
async def api(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000/api/v1", headers=headers) as api:
        yield api


async def begun(api: httpx.AsyncClient, **more: object) -> dict[str, Any]:
    answer = await api.post("/models/m/rollouts", json={"canary": 2, "plan": PLAN, "by": "anna", **more})
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def test_a_rollout_is_begun_shown_ordered_and_told_of(api: httpx.AsyncClient, session: FakeSession) -> None:
    rollout = (await begun(api))["id"]
    assert [one["id"] for one in (await api.get("/models/m/rollouts")).json()["rollouts"]] == [rollout]
    seen = (await api.get(f"/rollouts/{rollout}")).json()
    assert (seen["phase"], seen["weight_percent"], seen["by"]) == ("measuring", 0.0, "anna")
    assert session.splits[-1]["trial"]["rollout"] == f"{rollout}-keys"
    assert (await api.post(f"/rollouts/{rollout}:pause")).status_code == 400
    ended = (await api.post(f"/rollouts/{rollout}:abort?by=bert")).json()
    assert (ended["phase"], ended["over"]) == ("aborted", True)
    entries = (await api.get(f"/rollouts/{rollout}/history")).json()["entries"]
    assert [(one["who"], one["what"], one["same"]) for one in entries] == [
        ("anna", "start", None),
        ("bert", "abort", None),
    ]


async def test_a_dry_run_begins_nothing_and_says_what_is_wrong(api: httpx.AsyncClient, session: FakeSession) -> None:
    assert (await begun(api, dry_run=True))["phase"] == "measuring"
    assert (await api.get("/rollouts")).json() == {"rollouts": []}
    assert session.splits == []
    wrong = await api.post("/models/m/rollouts", json={"canary": 2, "plan": {"stepps": []}, "dry_run": True})
    assert wrong.status_code == 400
    assert "unknown key 'stepps'" in wrong.json()["error"]
    assert (await api.post("/models/m/rollouts", json={"canary": "two"})).status_code == 400


async def test_events_tell_of_every_change_until_it_is_over(api: httpx.AsyncClient) -> None:
    rollout = (await begun(api))["id"]

    async def listen() -> list[dict[str, Any]]:
        text = (await api.get(f"/rollouts/{rollout}/events")).text
        return [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: ")]

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0)
    await api.post(f"/rollouts/{rollout}:abort")
    assert (await listening)[-1]["phase"] == "aborted"


async def test_frozen_nothing_begins_and_a_pin_goes_through(api: httpx.AsyncClient, session: FakeSession) -> None:
    assert (await api.post("/rollouts:freeze")).json() == {"frozen": True}
    refused = await api.post("/models/m/rollouts", json={"canary": 2})
    assert (refused.status_code, "frozen" in refused.json()["error"]) == (409, True)
    assert (await api.post("/models/m:pin?version=2")).json() == {"model": "m", "version": 2}
    assert session.canary_bp == 10_000
    assert (await api.post("/models/m:pin?version=3")).status_code == 404
    assert (await api.post("/rollouts:unfreeze")).json() == {"frozen": False}


async def test_what_there_is_not_and_a_redis_that_is_gone_are_told(api: httpx.AsyncClient, server: Server) -> None:
    assert (await api.get("/rollouts/nothing")).status_code == 404
    assert (await api.get("/rollouts/nothing/events")).status_code == 404
    assert (await api.get("/models/nothing/rollouts")).status_code == 404
    assert (await api.post("/rollouts/nothing:abort")).status_code == 404
    server.kill()
    answer = await api.get("/rollouts")
    assert answer.status_code == 503
    assert "the control Redis, which keeps rollouts, does not answer" in answer.json()["error"]
