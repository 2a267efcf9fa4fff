"""What the session answers: statistics, the repository, the log; what needs the token has it or is refused."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest

from serving.edge.statistics import statistics_document
from serving.inference import VersionKey
from serving.request_path.administration import LoadOrder, VersionUsage
from serving.telemetry.log import LogSettings
from serving.testing.administration import TOKEN, USAGE, FakeAdministration
from serving.testing.predictions import FakePredictions
from tests.unit.edge.http.wire import GET, Response, Wire, infer, mean, post

BEARER = f"Authorization: Bearer {TOKEN}\r\n"


class Session:
    """A connection to a gateway whose session is canned."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.session = FakeAdministration(is_open=is_open)
        predictions = FakePredictions()
        predictions.administration = self.session
        self.wire = Wire(predictions=predictions)

    async def ask(self, data: bytes) -> Response:
        already = len(self.wire.answers)
        self.wire.send(data)
        for task in list(self.wire.edge.orders):
            await task
        (only,) = self.wire.answers[already:]
        return only

    async def get(self, path: str) -> Response:
        return await self.ask(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())

    async def post(self, path: str, body: Any = None, headers: str = BEARER) -> Response:
        return await self.ask(post("" if body is None else json.dumps(body), path=path, headers=headers))


@pytest.mark.parametrize("path", ["/v2/models/stats", "/v2/models/mlp/stats", "/v2/models/mlp/versions/3/stats"])
async def test_statistics_are_the_extensions_document(path: str) -> None:
    answer = await Session().get(path)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json == statistics_document([VersionUsage(VersionKey("mlp", 3), USAGE)])


async def test_statistics_of_an_unknown_model_are_not_found() -> None:
    answer = await Session().get("/v2/models/nobody/stats")
    assert answer.status == 404
    assert "nobody" in answer.error


@pytest.mark.parametrize(("body", "names"), [(None, ["mlp", "other"]), ({"ready": True}, ["mlp"])])
async def test_the_index_needs_no_token(body: Any, names: list[str]) -> None:
    answer = await Session(is_open=False).post("/v2/repository/index", body, headers="")
    assert [entry["name"] for entry in answer.json] == names
    assert answer.json[0] == {"name": "mlp", "version": "3", "state": "READY", "reason": ""}


@pytest.mark.parametrize("verb", ["load", "unload"])
@pytest.mark.parametrize("repository", ["", "/models"])
async def test_only_the_tokens_owner_loads_and_unloads(verb: str, repository: str) -> None:
    path = f"/v2/repository{repository}/models/other/{verb}"
    closed = Session(is_open=False)
    answer = await closed.post(path)
    assert (answer.status, answer.error) == (403, "only with http.repository_api: token")
    opened = Session()
    for headers in ("", "Authorization: Bearer wrong\r\n", f"Authorization: {TOKEN}\r\n"):
        answer = await opened.post(path, headers=headers)
        assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert (opened.session.loaded, opened.session.unloaded) == ([], [])
    answer = await opened.post(path)
    assert (answer.status, answer.json) == (200, {})
    assert (len(opened.session.loaded), len(opened.session.unloaded)) == ((1, 0) if verb == "load" else (0, 1))


@pytest.mark.parametrize("verb", ["load", "unload"])
def test_an_order_without_the_token_is_refused_before_its_body_is_read(verb: str) -> None:
    session = Session()
    session.wire.send(post("x" * 60_000, path=f"/v2/repository/models/other/{verb}")[:-1])
    assert session.wire.answer.status == 401
    assert session.wire.edge.budget.used == 0
    session.wire.send(b"x" + GET)
    assert [answer.status for answer in session.wire.answers] == [401, 200]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("over", [-1, 0, 1])
@pytest.mark.parametrize("path", ["/v2/repository/index", "/v2/repository/models/other/unload", "/v2/logging"])
async def test_only_a_load_may_have_more_than_64_kb(path: str, over: int, *, chunked: bool) -> None:
    session = Session()
    body = b"{}".ljust(65_536 + over)
    asked = _chunked(path, body) if chunked else post(body, path=path, headers=BEARER)
    answer = await session.ask(asked)
    if over > 0:
        assert (answer.status, answer.error) == (413, "a body of this path may have at most 65536 bytes")
    else:
        assert answer.status == 200


async def test_a_load_may_have_more() -> None:
    session = Session()
    answer = await session.post("/v2/repository/models/a/load", {"parameters": {"config": "x" * 100_000}})
    assert answer.status == 200


async def test_a_change_of_the_log_without_the_token_is_not_even_parsed() -> None:
    answer = await Session().ask(post("{", path="/v2/logging"))
    assert answer.status == 401


def _chunked(path: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\n{BEARER}Transfer-Encoding: chunked\r\n\r\n".encode()
    return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


async def test_a_load_takes_a_configuration_and_files() -> None:
    session = Session()
    model = bytes(range(256))
    parameters = {"config": '{"max_batch_size": 8}', "file:1/model.onnx": base64.b64encode(model).decode()}
    answer = await session.post("/v2/repository/models/new%20one/load", {"parameters": parameters})
    assert answer.status == 200
    assert session.session.loaded == [LoadOrder("new one", '{"max_batch_size": 8}', {"1/model.onnx": model})]


@pytest.mark.parametrize(
    ("verb", "body", "said"),
    [
        ("load", [], "must be a JSON object"),
        ("load", {"parameters": []}, "`parameters` must be an object"),
        ("load", {"parameters": {"config": {}}}, "'config' must be a string"),
        ("load", {"parameters": {"other": "x"}}, "unknown parameter 'other'"),
        ("load", {"parameters": {"file:1/model.onnx": "no base64!"}}, "must be base64"),
        ("unload", {"parameters": {"unload_dependents": 1}}, "unload_dependents"),
        ("unload", {"parameters": {"force": True}}, "'force'"),
    ],
)
async def test_what_an_order_cannot_mean_is_refused(verb: str, body: Any, said: str) -> None:
    session = Session()
    answer = await session.post(f"/v2/repository/models/other/{verb}", body)
    assert answer.status == 400
    assert said in answer.error
    assert (session.session.loaded, session.session.unloaded) == ([], [])


async def test_a_body_that_is_no_json_is_refused() -> None:
    answer = await Session().ask(post("{", path="/v2/repository/index"))
    assert (answer.status, answer.error[:20]) == (400, "the body is not JSON")


async def test_unload_takes_unload_dependents_and_tells_why_not() -> None:
    session = Session()
    assert (
        await session.post("/v2/repository/models/a/unload", {"parameters": {"unload_dependents": True}})
    ).status == 200
    answer = await session.post("/v2/repository/models/mlp/unload")
    assert (answer.status, answer.error) == (409, "model 'mlp' is the last one of this session")


async def test_the_log_is_told_to_everybody_and_changed_by_the_tokens_owner() -> None:
    session = Session()
    before = await session.get("/v2/logging")
    assert before.json == {
        "log_file": "",
        "log_info": True,
        "log_warning": True,
        "log_error": True,
        "log_verbose_level": 0,
        "log_format": "default",
    }
    change = {"log_info": False, "log_verbose_level": 2}
    assert (await session.post("/v2/logging", change, headers="")).status == 401
    assert session.session.log == LogSettings()
    after = await session.post("/v2/logging", change)
    assert after.json == {**before.json, **change}
    assert session.session.log == LogSettings(info=False, verbose=2)
    assert (await session.get("/v2/logging")).json == after.json


@pytest.mark.parametrize(
    "change",
    [{"log_file": "/tmp/x"}, {"log_format": "ISO8601"}, {"log_info": 1}, {"log_verbose_level": -1}, {"other": True}],
)
async def test_other_changes_of_the_log_are_refused(change: dict[str, object]) -> None:
    session = Session()
    answer = await session.post("/v2/logging", change)
    assert answer.status == 400
    assert next(iter(change)) in answer.error
    assert session.session.log == LogSettings()


async def test_answers_of_the_session_keep_their_place_among_the_others() -> None:
    session = Session()
    session.wire.send(b"GET /v2/models/stats HTTP/1.1\r\nHost: a\r\n\r\n" + infer("2,4"))
    assert session.wire.answers == []
    for task in list(session.wire.edge.orders):
        await task
    first, second = session.wire.answers
    assert "model_stats" in first.json
    assert mean(second) == 3


async def test_a_client_that_leaves_ends_nothing_and_holds_nothing() -> None:
    session = Session()
    session.wire.send(post("{}", path="/v2/repository/models/other/load", headers=BEARER))
    session.wire.connection.connection_lost(None)
    for task in list(session.wire.edge.orders):
        await task
    assert len(session.session.loaded) == 1
    assert session.wire.edge.budget.used == 0


async def test_a_defect_costs_one_answer() -> None:
    session = Session()

    async def broken() -> Any:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    session.session.index = broken  # type: ignore[method-assign]
    answer = await session.post("/v2/repository/index")
    assert answer.status == 500
    assert "log says why" in answer.error


async def test_without_a_session_it_is_said_that_it_cannot_be_asked() -> None:
    session = Session()
    session.wire.predictions = FakePredictions()
    session.wire.edge.predictions = session.wire.predictions
    for path in ("/v2/models/stats", "/v2/logging"):
        assert (await session.get(path)).status == 503
    for path in ("/v2/repository/index", "/v2/repository/models/a/load", "/v2/repository/models/a/unload"):
        assert (await session.post(path)).status == 503
