"""A session follows its configuration as it is written now, under load; what it cannot follow it says and leaves."""

from __future__ import annotations

import json
import shutil
import urllib.request
from collections.abc import Iterator

import pytest

from serving.testing.load_client import Load, running
from serving.testing.models import divides, doubler, save
from tests.e2e.configured import Configured
from tests.e2e.doubling import PATH, dividing, doubling, patiently
from tests.e2e.parts import CONTROL_APP, WORKER, parts, until

RATE = 200
NUMBER = {"dtype": "float32", "default": 0}
PLANE = {"entity": ["tail"], "features": {"year": NUMBER, "seats": NUMBER}}
CARRIER = {"entity": ["carrier"], "features": {"delay": NUMBER}}
OK, NOT_FOUND, TOO_LARGE = 200, 404, 413


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Configured]:
    found = Configured(tmp_path_factory.mktemp("reload"), feature_views={"plane": PLANE})
    try:
        found.session.wait_until_ready()
        yield found
        found.session.close()
    finally:
        found.session.destroy()


def test_models_and_settings_come_and_go_under_load(configured: Configured) -> None:
    save(configured.models, "added", 1, divides())
    save(configured.models, "doubler", 2, doubler())
    shutil.rmtree(configured.models / "divides")
    configured.write(
        feature_views={"plane": PLANE},
        models={"doubler": {"batching": {"max_rows": 3}}},
        http={"max_json_mb": 0.001},
    )
    with running(Load(configured.session.port, patiently, most=10**6, rate=RATE, for_s=60, callers=20)) as load:
        until(lambda: len(load.report.good) > RATE // 2, "the load is under way")
        told = configured.sluice("restart")
        report = load.stop()
    assert told.returncode == 0, told.stderr
    assert report.failures == []
    assert configured.ask("POST", "/v2/models/added/infer", json.dumps(dividing(6, 3)).encode()).status == OK
    assert configured.ask("GET", "/v2/models/divides").status == NOT_FOUND
    facts = configured.ask("GET", "/v2/models/doubler/config").json()
    assert facts["max_batch_size"] == 3
    # The version that came can be asked by its number; the one before it answers everybody else.
    assert configured.ask("GET", "/v2/models/doubler").json()["versions"] == ["1", "2"]
    assert configured.ask("POST", PATH, doubling(1).body).headers["x-sluice-version"] == "1"
    assert configured.ask("POST", PATH, b" " * 2_000).status == TOO_LARGE


@pytest.mark.parametrize(
    ("sections", "told"),
    [
        ({"http": {"workers": 2}}, "http.workers: a running session cannot change that; stop it and start it again"),
        ({"models": {"nowhere": {}}}, "models.nowhere: the repository has no version of it that can be served"),
        ({"models": {"doubler": {"pol": "x"}}}, "the configuration has 1 problem:\n  models.doubler.pol"),
    ],
)
def test_what_cannot_be_followed_is_said_and_the_session_goes_on_as_it_was(
    configured: Configured, sections: dict[str, object], told: str
) -> None:
    before = {one.pid for one in parts(configured.session, WORKER)}
    configured.write(**sections)
    refused = configured.sluice("restart")
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"sluice: nothing was changed: {told}"), refused.stderr
    assert {one.pid for one in parts(configured.session, WORKER)} == before
    assert configured.ask("POST", PATH, doubling(1).body).status == OK


def test_a_view_that_is_new_is_read_by_workers_and_known_to_the_control_api(configured: Configured) -> None:
    (before,) = parts(configured.session, CONTROL_APP)
    columns = ["plane.year", "carrier.delay", "request.hour", "request.day"]
    configured.write(
        feature_views={"plane": PLANE, "carrier": CARRIER},
        models={"doubler": {"inputs": [{"name": "x", "features": columns}]}},
    )
    configured.done("restart")
    row = {"tail": "N1", "carrier": "AA", "hour": 1, "day": 2}
    answer = configured.ask("POST", "/v1/models/doubler:predict", json.dumps({"instances": [row]}).encode())
    assert (answer.status, "x-sluice-degraded" in answer.headers) == (OK, True), answer.body
    until(lambda: before.pid not in {one.pid for one in parts(configured.session, CONTROL_APP)}, "the app's successor")
    port = configured.session.registered()["control_port"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/features", timeout=20) as told:
        assert [view["name"] for view in json.load(told)["views"]] == ["plane", "carrier"]
