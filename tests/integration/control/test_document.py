"""What the OpenAPI document says is what the control app does: tried by schemathesis, route by route."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.openapi import from_asgi
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from serving.control.app import control_app
from serving.control.session import ControlOptions
from serving.features.feature_view import FeatureView, feature
from tests.integration.control.held_session import HeldSession
from tests.integration.valkey_server import Server

pytestmark = pytest.mark.integration

TOKEN = "0123456789abcdefXYZ"
GIVEN = {"authorization": f"Bearer {TOKEN}"}
URL = "http://127.0.0.1:8000"
VIEWS = {
    "plane": FeatureView("plane", ("tailnum",), (feature("year", "float32"), feature("seats", "int64")), 86_400),
    "route": FeatureView("route", ("origin", "dest"), (feature("on", "bool"), feature("delay", "float64"))),
}
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 30
# Who has no token is refused whatever is asked for.
REFUSED = 4
# JSON knows no others.
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
# Names that a guess would not find.
KNOWN = {
    "{model}": [{"model": "late"}, {"model": "other"}],
    "{view}": [{"view": "plane"}, {"view": "route"}],
    "{pool}": [{"pool": "default"}],
}
# What is made up need not come upon a request that works.
RIGHT: dict[tuple[str, str], dict[str, Any]] = {
    ("GET", "/api/v1/models/{model}"): {"path_parameters": {"model": "late"}},
    ("GET", "/api/v1/models/{model}/traffic"): {"path_parameters": {"model": "late"}},
    ("GET", "/api/v1/models/{model}/batching"): {"path_parameters": {"model": "late"}},
    ("POST", "/api/v1/models/{model}:load"): {"path_parameters": {"model": "late"}, "query": {"version": 2}},
    ("POST", "/api/v1/models/{model}:unload"): {"path_parameters": {"model": "other"}, "query": {"force": "true"}},
    ("POST", "/api/v1/logs/levels"): {"query": {"logger": "serving.batching", "level": "debug"}},
    ("POST", "/api/v1/pools/{pool}:restart"): {"path_parameters": {"pool": "default"}},
    ("GET", "/api/v1/features/{view}"): {"path_parameters": {"view": "plane"}, "query": {"key": ["N1"]}},
    ("POST", "/api/v1/features/{view}"): {
        "path_parameters": {"view": "plane"},
        "body": {"rows": [{"key": ["N1"], "values": {"seats": 149}}]},
        "media_type": "application/json",
    },
}
# This app has no control Redis, so that nothing of rollouts is there to be right about (test_rollout_api.py has one):
# what is asked of them is refused as the document says.
WITHOUT_REDIS = ("rollouts", ":pin")
FEATURES = {"plane": ("year", "seats"), "route": ("on", "delay")}


AnyCase = schemathesis.Case[Any]


class Asked:
    """One control app with its session; `document` is what it says of itself."""

    def __init__(self, server: Server, host: str = "127.0.0.1") -> None:
        self.session = HeldSession()
        self.app = control_app(self.session, ControlOptions(host, TOKEN, server.url, VIEWS))
        # The document itself is read like everything else.
        self.schema: Any = from_asgi("/openapi.json", self.app, headers={"host": "127.0.0.1", **GIVEN})

    def made_up(self, method: str, path: str, mode: GenerationMode) -> Iterator[SearchStrategy[AnyCase]]:
        """What schemathesis makes of the operation, then the same for things that are there."""
        yield self.schema[path][method].as_strategy(generation_mode=mode)
        if mode is GenerationMode.NEGATIVE and not says_more_than_a_path(method, path):
            return
        for names in next((known for part, known in KNOWN.items() if part in path), ()):
            yield self.schema[path][method].as_strategy(generation_mode=mode, path_parameters=names)

    def tried(self, made: SearchStrategy[AnyCase], headers: dict[str, str], most: int) -> Counter[int]:
        """How often each status came; each answer is as the document says."""
        told: Counter[int] = Counter()

        @settings(max_examples=most, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=made)
        def ask(case: AnyCase) -> None:
            _name_features(case)
            answer = case.call_and_validate(base_url=URL, headers=headers, checks=CHECKS)
            told[answer.status_code] += 1
            if answer.status_code >= 400:
                assert list(answer.json()) == ["error"]

        ask()
        return told


def _name_features(case: AnyCase) -> None:
    """The document knows no feature's name: values that were made up go to those of the view."""
    names = FEATURES.get((case.path_parameters or {}).get("view", ""))
    body: Any = case.body
    rows = body.get("rows") if isinstance(body, dict) else None
    for row in rows if names and isinstance(rows, list) else []:
        if isinstance(row, dict) and isinstance(row.get("values"), dict):
            row["values"] = dict(zip(names or (), row["values"].values(), strict=False))


def operations() -> list[tuple[str, str]]:
    """Method and path of everything in the document."""
    paths = document()["paths"]
    return [(method.upper(), path) for path, found in paths.items() for method in found]


def document(host: str = "127.0.0.1") -> dict[str, Any]:
    return control_app(HeldSession(), ControlOptions(host, TOKEN)).openapi()


def says_more_than_a_path(method: str, path: str) -> bool:
    said = document()["paths"][path][method.lower()]
    return "requestBody" in said or any(one["in"] != "path" for one in said.get("parameters", ()))


def modes(method: str, path: str) -> list[GenerationMode]:
    """Where nothing can be said, nothing can be said wrongly."""
    said = document()["paths"][path][method.lower()]
    return list(GenerationMode) if "parameters" in said or "requestBody" in said else [GenerationMode.POSITIVE]


@pytest.mark.parametrize(("method", "path"), operations())
def test_whatever_is_asked_with_the_token_is_answered_as_the_document_says(
    server: Server, method: str, path: str
) -> None:
    asked = Asked(server)
    if any(what in path for what in WITHOUT_REDIS):
        named = {"path_parameters": {"model": "late", "rollout": "late-1"}}
    else:
        named = RIGHT.get((method, path), {})
    right = asked.schema[path][method].Case(**named)
    status = right.call_and_validate(base_url=URL, headers=GIVEN, checks=CHECKS).status_code
    assert status == 200 or (any(what in path for what in WITHOUT_REDIS) and status in {400, 404, 409})
    for mode in modes(method, path):
        told = sum((asked.tried(made, GIVEN, EXAMPLES) for made in asked.made_up(method, path, mode)), Counter[int]())
        if mode is GenerationMode.NEGATIVE:
            assert {400, 404} & set(told), told


@pytest.mark.parametrize(
    ("host", "given"),
    [
        ("127.0.0.1", {}),
        ("127.0.0.1", {"authorization": f"Basic {TOKEN}"}),
        ("0.0.0.0", {"authorization": "Bearer wrong"}),
    ],
)
@pytest.mark.parametrize(("method", "path"), operations())
def test_whatever_is_asked_without_the_token_changes_nothing_and_is_answered_as_the_document_says(
    server: Server, method: str, path: str, host: str, given: dict[str, str]
) -> None:
    asked = Asked(server, host)
    before = asked.session.table
    for made in asked.made_up(method, path, GenerationMode.POSITIVE):
        told = asked.tried(made, given, REFUSED)
        assert (set(told) == {401}) == (method != "GET" or host != "127.0.0.1")
    assert asked.session.table is before
    assert server.client().dbsize() == 0


def test_any_number_as_a_feature_is_stored_or_refused(server: Server) -> None:
    asked = Asked(server)
    told = Counter[int]()

    @settings(max_examples=EXAMPLES, deadline=None, database=None)
    @given(seats=st.integers() | NUMBERS | st.booleans() | st.none(), year=st.integers() | NUMBERS)
    def ask(seats: object, year: object) -> None:
        case = asked.schema["/api/v1/features/{view}"]["POST"].Case(
            path_parameters={"view": "plane"},
            body={"rows": [{"key": ["N1"], "values": {"seats": seats, "year": year}}]},
            media_type="application/json",
        )
        told[case.call_and_validate(base_url=URL, headers=GIVEN, checks=CHECKS).status_code] += 1

    ask()
    assert told[200]
    assert told[400]


def test_the_document_says_who_needs_the_token_and_nothing_that_never_comes() -> None:
    for host, free in (("127.0.0.1", {"get"}), ("0.0.0.0", set())):
        told = document(host)
        assert told["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
        assert "HTTPValidationError" not in str(told)
        for found in told["paths"].values():
            for method, operation in found.items():
                assert ("security" in operation) == ("401" in operation["responses"]) == (method not in free)
                assert ("403" in operation["responses"]) == (host == "127.0.0.1")
