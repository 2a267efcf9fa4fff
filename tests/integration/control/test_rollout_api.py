"""The control API of rollouts with a real Valkey, and a session that only remembers what it was asked."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from fastapi import FastAPI

from serving.control import rollout_api
from serving.control.app import control_app
from serving.control.session import ControlOptions
from serving.state import keys
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


async def test_one_that_another_release_wrote_hides_no_other(api: httpx.AsyncClient, server: Server) -> None:
    rollout = (await begun(api))["id"]
    unknown = {"id": "x", "model": "m", "format": 99, "started_s": 1.0}
    server.client().hset(keys.ROLLOUTS, "x", json.dumps(unknown))
    for path in ("/rollouts", "/models/m/rollouts"):
        assert [one["id"] for one in (await api.get(path)).json()["rollouts"]] == [rollout]
    assert (await api.get("/rollouts/m/verdict")).json()["rollout"] == rollout


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


async def test_events_of_a_rollout_that_is_there_no_more_end(
    api: httpx.AsyncClient, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout, begins, event = (await begun(api))["id"], asyncio.Event(), rollout_api._event

    def telling(kind: str, document: dict[str, Any]) -> bytes:
        begins.set()
        return event(kind, document)

    monkeypatch.setattr(rollout_api, "_event", telling)
    listening = asyncio.create_task(api.get(f"/rollouts/{rollout}/events"))
    async with asyncio.timeout(20):
        await begins.wait()
        with server.client() as client:
            client.flushall()
        told = [line for line in (await listening).text.splitlines() if line.startswith("event: ")]
    assert (told[0], told[-1], told.count("event: trouble")) == ("event: rollout", "event: trouble", 1)


async def test_frozen_nothing_begins_and_a_pin_goes_through(api: httpx.AsyncClient, session: FakeSession) -> None:
    assert (await api.post("/rollouts:freeze")).json() == {"frozen": True}
    refused = await api.post("/models/m/rollouts", json={"canary": 2})
    assert (refused.status_code, "frozen" in refused.json()["error"]) == (409, True)
    assert (await api.post("/models/m:pin?version=2")).json() == {"model": "m", "version": 2}
    assert session.canary_bp == 10_000
    assert (await api.post("/models/m:pin?version=3")).status_code == 404
    assert (await api.post("/rollouts:unfreeze")).json() == {"frozen": False}


async def measured(api: httpx.AsyncClient, model: str) -> str:
    """As Argo Rollouts measures by the example of the documentation: GET, 2xx, JSON, the path in it, the conditions."""
    (metric,) = example("AnalysisTemplate")["spec"]["metrics"]
    web = metric["provider"]["web"]
    (header,) = web["headers"]
    given = {header["key"]: header["value"].replace("{{args.token}}", TOKEN)}
    answer = await api.get(within_api(web["url"]).replace("{{args.model}}", model), headers=given)
    if not answer.is_success:
        return "Error"
    found = answer.json()[web["jsonPath"].removeprefix("{$.").removesuffix("}")]
    if holds(metric["failureCondition"], found):
        return "Failed"
    return "Successful" if holds(metric["successCondition"], found) else "Inconclusive"


def holds(condition: str, result: str) -> bool:
    """Of the language of Argo's conditions what the example uses: `result == "a"` and `result in ["a", "b"]`."""
    _, operator, values = condition.split(" ", 2)
    return result == json.loads(values) if operator == "==" else result in json.loads(values)


def hooks() -> dict[str, str]:
    """Flagger's webhooks of the documentation: type and address without what comes before the control API's paths."""
    return {
        hook["type"]: within_api(hook["url"]).replace("flight-delay", "m")
        for hook in example("Canary")["spec"]["analysis"]["webhooks"]
    }


def example(kind: str) -> dict[str, Any]:
    page = (Path(__file__).parents[3] / "docs" / "rollout-bridges.md").read_text(encoding="utf-8")
    found = [yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)]
    document: dict[str, Any] = next(one for one in found if one.get("kind") == kind)
    return document


def within_api(url: str) -> str:
    return url.partition(":8000/api/v1")[2]


async def asked(api: httpx.AsyncClient, path: str, kind: str) -> bool:
    """As Flagger asks a webhook: POST of JSON; anything over 202 is no."""
    body = {
        "name": "gateway",
        "namespace": "ml",
        "phase": "Progressing",
        "checksum": "85d557f47b",
        "type": kind,
        "canaryWeight": 10,
        "metadata": {"owner": "anna"},
    }
    answer = await api.post(path, json=body)
    if answer.status_code > 202:
        assert list(answer.json()) == ["error"]
    return answer.status_code <= 202


async def test_argo_rollouts_and_flagger_ask_for_the_verdict(api: httpx.AsyncClient) -> None:
    assert await measured(api, "m") == "Error"
    assert not await asked(api, hooks()["rollout"], "rollout")
    rollout = (await begun(api))["id"]
    assert [await measured(api, which) for which in (rollout, "m")] == ["Successful"] * 2
    said = {kind: await asked(api, path, kind) for kind, path in hooks().items()}
    assert said == {"rollout": True, "confirm-promotion": False, "rollback": False}
    await api.post(f"/rollouts/{rollout}:abort")
    assert await measured(api, "m") == "Inconclusive"
    assert not await asked(api, hooks()["rollout"], "rollout")
    refused = await api.post("/rollouts/m/verdict", json={"name": "gateway"})
    assert (refused.status_code, refused.json()["error"]) == (409, f"no go gateway: {rollout} is aborted: aborted")
    assert (await api.post("/rollouts/m/verdict?go=perhaps")).status_code == 400


async def test_what_there_is_not_and_a_redis_that_is_gone_are_told(api: httpx.AsyncClient, server: Server) -> None:
    assert (await api.get("/rollouts/nothing")).status_code == 404
    assert (await api.get("/rollouts/nothing/events")).status_code == 404
    assert (await api.get("/models/nothing/rollouts")).status_code == 404
    assert (await api.post("/rollouts/nothing:abort")).status_code == 404
    server.kill()
    answer = await api.get("/rollouts")
    assert answer.status_code == 503
    assert "the control Redis, which keeps rollouts, does not answer" in answer.json()["error"]
