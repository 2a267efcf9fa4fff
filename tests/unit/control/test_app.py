"""The control app with a session that only remembers what it was asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.control.app import control_app
from serving.control.session import ControlOptions
from serving.errors import InUse, ModelUnservable, ServingError, UnknownModel
from serving.features.feature_view import FeatureView, feature

TOKEN = "0123456789abcdefXYZ"
GIVEN = {"authorization": f"Bearer {TOKEN}"}
LOGS = {"info": True, "warning": True, "error": True, "verbose": 0, "levels": {}}
READS = frozenset({"log", "traffic", "models", "batching", "pools", "health"})
VERSION = {"version": 1, "pool": "gateway", "state": "ready", "why": "", "variants": {"stable": 100.0}}
FACTS = {"batchable": True, "note": "", "inputs": [], "outputs": []}


class FakeSession:
    """Remembers changes; raises `error` where there is one."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, Mapping[str, Any]]] = []
        self.error: Exception | None = None

    async def __call__(self, what: str, **facts: Any) -> Mapping[str, Any]:
        if what not in READS:
            self.changes.append((what, facts))
        if self.error is not None:
            raise self.error
        if what in {"batching", "traffic"} and facts["model"] != "a":
            raise UnknownModel("there is no such model")
        answers: dict[str, Mapping[str, Any]] = {
            "health": {"status": "ready", "engine": "ray", "workers": 2, "release": "1"},
            "models": {"models": [{"name": "a", "default": 1, "versions": [{**VERSION, **FACTS}]}]},
            "batching": {"model": "a", "loop_lag_s": 0.0, "refused_requests": {"overloaded": 2}, "versions": []},
            "traffic": {"model": "a", "requests": 7, "errors": 1, "runs": 3, "workers": 2, "at_s": 5.0},
            "pools": {"pools": [{"name": "default", "versions": ["a/1"], "replicas": [], "alive": 1}]},
            "load": {"model": "a", "version": 1, "changed": True},
            "unload": {"model": "a", "versions": [1]},
            "split": {"epoch": 2, "generation": 0},
            "log": LOGS,
            "log_level": {**LOGS, "levels": {"serving.batching": "debug"}},
        }
        return answers[what]


@pytest.fixture
def session() -> FakeSession:
    return FakeSession()


def client(session: FakeSession, host: str = "127.0.0.1") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(control_app(session, ControlOptions(host, TOKEN)), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")


def operations() -> list[tuple[str, str]]:
    """Method and path of everything the OpenAPI document names."""
    document = control_app(FakeSession(), ControlOptions("127.0.0.1", TOKEN)).openapi()
    return [(method.upper(), path) for path, found in document["paths"].items() for method in found]


async def test_what_there_is_can_be_read(session: FakeSession) -> None:
    async with client(session) as asking:
        assert (await asking.get("/api/v1/health")).json()["status"] == "ready"
        assert (await asking.get("/api/v1/models")).json()["models"][0]["versions"][0]["state"] == "ready"
        assert (await asking.get("/api/v1/models/a")).json()["name"] == "a"
        assert (await asking.get("/api/v1/models/a/batching")).json()["refused_requests"] == {"overloaded": 2}
        traffic = (await asking.get("/api/v1/models/a/traffic")).json()
        assert [traffic[name] for name in ("requests", "runs", "workers")] == [7, 3, 2]
        assert (await asking.get("/api/v1/pools")).json()["pools"][0]["alive"] == 1


async def test_load_and_unload_are_asked_for_as_they_were_said(session: FakeSession) -> None:
    async with client(session) as asking:
        assert (await asking.post("/api/v1/models/a:load?version=2", headers=GIVEN)).status_code == 200
        assert (await asking.post("/api/v1/models/a:unload?version=2", headers=GIVEN)).status_code == 200
        assert (await asking.post("/api/v1/models/b%20c:unload?force=true", headers=GIVEN)).status_code == 200
    assert session.changes == [
        ("load", {"model": "a", "version": 2}),
        ("unload", {"model": "a", "version": 2, "force": False}),
        ("unload", {"model": "b c", "version": None, "force": True}),
    ]


async def test_a_version_is_pinned_unless_it_could_answer_nobody(
    session: FakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin = "/api/v1/models/a:pin?version=1"
    async with client(session) as asking:
        assert (await asking.post(pin, headers=GIVEN)).json() == {"model": "a", "version": 1}
        assert [what for what, _ in session.changes] == ["split"]
        monkeypatch.setitem(VERSION, "state", "refused")
        monkeypatch.setitem(VERSION, "why", "its file is gone")
        refused = await asking.post(pin, headers=GIVEN)
    assert refused.status_code == 503
    assert refused.json()["error"].endswith("cannot answer, so that nothing was changed: its file is gone")
    assert [what for what, _ in session.changes] == ["split"]


async def test_the_level_of_a_logger_is_changed_as_it_was_said(session: FakeSession) -> None:
    async with client(session) as asking:
        assert (await asking.get("/api/v1/logs")).json()["levels"] == {}
        changed = await asking.post("/api/v1/logs/levels?logger=serving.batching&level=debug", headers=GIVEN)
        assert changed.json()["levels"] == {"serving.batching": "debug"}
        await asking.post("/api/v1/logs/levels?logger=serving.batching", headers=GIVEN)
        assert (await asking.post("/api/v1/logs/levels?logger=a&level=loud", headers=GIVEN)).status_code == 400
    assert session.changes == [
        ("log_level", {"logger": "serving.batching", "level": "debug"}),
        ("log_level", {"logger": "serving.batching", "level": None}),
    ]


@pytest.mark.parametrize(("method", "path"), operations())
@pytest.mark.parametrize("given", ["", "Bearer wrong", "Basic x"])
async def test_no_operation_changes_anything_without_the_token(
    session: FakeSession, method: str, path: str, given: str
) -> None:
    url = path.replace("{", "").replace("}", "") + "?version=1&force=true&key=1"
    async with client(session, host="0.0.0.0") as asking:
        answer = await asking.request(method, url, headers={"authorization": given})
        assert answer.status_code == 401
        assert list(answer.json()) == ["error"]
    async with client(session) as asking:
        answer = await asking.request(method, url, headers={"authorization": given})
        assert answer.status_code == (401 if method != "GET" else 404 if "{" in path else 200)
    assert session.changes == []


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/x"), ("DELETE", "/api/v1/models"), ("POST", "/api/v1/models/a:fly")]
)
async def test_what_is_not_there_is_told_as_an_error(session: FakeSession, method: str, path: str) -> None:
    async with client(session) as asking:
        answer = await asking.request(method, path, headers=GIVEN)
    assert answer.status_code in (404, 405)
    assert "/docs" in answer.json()["error"]
    assert (answer.headers.get("allow") == "GET") == (answer.status_code == 405)


@pytest.mark.parametrize("query", ["", "?version=0", "?version=x", f"?version={2**60}", "?version=1.5"])
async def test_a_version_that_is_no_number_is_refused_by_its_name(session: FakeSession, query: str) -> None:
    async with client(session) as asking:
        answer = await asking.post(f"/api/v1/models/a:load{query}", headers=GIVEN)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("query.version: ")
    assert session.changes == []


@pytest.mark.parametrize(
    ("error", "status"),
    [(InUse("needed"), 409), (ModelUnservable("m/1/model.onnx: cut off; copy it again"), 422), (OSError("odd"), 500)],
)
async def test_why_a_session_refused_is_the_error(session: FakeSession, error: Exception, status: int) -> None:
    session.error = error
    async with client(session) as asking:
        answer = await asking.post("/api/v1/models/a:load?version=2", headers=GIVEN)
    assert answer.status_code == status
    told = error.message if isinstance(error, ServingError) else "OSError: odd"
    assert answer.json() == {"error": told}


async def test_the_pages_for_people_need_nothing_from_elsewhere(session: FakeSession) -> None:
    async with client(session) as asking:
        page = (await asking.get("/docs")).text
        assert (await asking.get("/openapi.json")).json()["info"]["title"] == "Sluice control API"
    assert "POST /api/v1/models/{model}:load" in page
    assert "<code>rows[].key</code></td><td>body, required, list of text</td>" in page
    assert "<code>{&quot;canary&quot;: 2, &quot;dry_run&quot;: true}</code>" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    operation=st.sampled_from(operations()),
    name=st.text(min_size=1, max_size=140),
    query=st.dictionaries(st.sampled_from(["version", "force", "x"]), st.text(max_size=8)),
    body=st.binary(max_size=64),
)
async def test_whatever_is_sent_is_answered_as_the_document_says(
    operation: tuple[str, str], name: str, query: dict[str, str], body: bytes
) -> None:
    method, path = operation
    session = FakeSession()
    async with client(session) as asking:
        url = path.replace("{model}", quote(name, safe="")).replace("{view}", quote(name, safe=""))
        answer = await asking.request(method, url, params=query, headers=GIVEN, content=body)
        document = (await asking.get("/openapi.json")).json()
    known = document["paths"][path][method.lower()]["responses"]
    # A name with a slash in it is another path.
    assert str(answer.status_code) in known or answer.status_code in (404, 405)
    if answer.status_code >= 400:
        assert list(answer.json()) == ["error"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 400, "9" * 5_000, '"12"', "[1]"])
@pytest.mark.parametrize("place", ["values", "event_time_s"])
async def test_what_is_no_number_is_refused_before_the_features_redis_is_asked(number: str, place: str) -> None:
    views = {"plane": FeatureView("plane", ("tailnum",), (feature("year"),))}
    app = control_app(FakeSession(), ControlOptions("127.0.0.1", TOKEN, "unix:///nowhere/features.sock", views))
    told = {"values": f'"values": {{"year": {number}}}', "event_time_s": f'"values": {{}}, "event_time_s": {number}'}
    body = f'{{"rows": [{{"key": ["N1"], "values": {{}}}}, {{"key": ["N2"], {told[place]}}}]}}'
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as asking:
        answer = await asking.post("/api/v1/features/plane", headers=GIVEN, content=body)
    assert answer.status_code == 400, answer.text
