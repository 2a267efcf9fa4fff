"""What the OpenAPI document of the port of predictions says is what a session does: tried by schemathesis."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from serving.edge.http.openapi import document
from tests.e2e.doubling import LONG
from tests.e2e.sluice_up import SluiceUp

CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance]
EXAMPLES = 1000 if LONG else 10
# Of what is there: a made-up name is never found.
NAMES = {"model": "doubler", "version": 1}


def _cases() -> list[tuple[str, str, dict[str, object]]]:
    """Every operation with made-up names, then with those that are there."""
    paths = document("0")["paths"].items()
    operations = [(method, path) for path, told in paths for method in told if method in ("get", "post")]
    known = [
        (method, path, {name: value for name, value in NAMES.items() if f"{{{name}}}" in path})
        for method, path in operations
    ]
    return [*((method, path, {}) for method, path in operations), *(case for case in known if case[2])]


@pytest.mark.parametrize(("method", "path", "names"), _cases())
def test_whatever_is_made_up_is_answered_as_the_document_says(
    in_process: SluiceUp, method: str, path: str, names: dict[str, object]
) -> None:
    schema: Any = schemathesis.openapi.from_url(f"{in_process.url}/v2/openapi.json")
    more = {"path_parameters": names} if names else {}
    # A GET has nothing besides its path that could be wrong.
    for mode in GenerationMode if method == "post" else (GenerationMode.POSITIVE,):
        made = schema[path][method].as_strategy(generation_mode=mode, **more)

        @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=made)
        def ask(case: Any) -> None:
            answer = case.call_and_validate(checks=CHECKS)
            if answer.status_code >= 400:
                assert list(answer.json()) == ["error"]

        ask()
