"""`sluice conformance` as a person types it: what it prints, what it writes, and its exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path

from serving.conformance.suite import CHECKS
from tests.integration.cli.sluice_command import sluice
from tests.integration.conformance.broken_json import INFERENCE, SERVER
from tests.integration.conformance.change import at, edited, instead, put
from tests.integration.conformance.good_server import TOKEN, GoodServer
from tests.integration.conformance.http_layer import serving


def test_a_server_that_keeps_every_promise_is_exit_code_0_and_a_row_for_each_check(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    with serving(GoodServer().answer) as url:
        ended = sluice("conformance", url, "--token", TOKEN, "--json", str(report))
    assert (ended.code, ended.err) == (0, "")
    over_http = [check.id for check in CHECKS if check.id.startswith("http.")]
    assert [check for check in over_http if check not in ended.out] == []
    assert "keeps every promise" in ended.out
    document = json.loads(report.read_text())
    assert document["conforms"] is True
    assert document["counts"] == {
        "pass": len(over_http),
        "fail": 0,
        "skipped": len(CHECKS) - len(over_http),
        "error": 0,
    }
    assert [one["id"] for one in document["checks"]] == [check.id for check in CHECKS]
    assert document["server"] == {"name": "good", "version": "1", "extensions": document["server"]["extensions"]}


def test_a_broken_promise_is_exit_code_4_with_what_was_sent_and_what_came() -> None:
    broken = INFERENCE["http.infer.model-name"](GoodServer().answer)
    with serving(broken) as url:
        ended = sluice("conformance", url, "--only", "http.infer.*")
    assert ended.code == 4
    assert ended.err == f"sluice: {url} does not keep every promise\n"
    assert "`model_name` must be 'oip-identity-fp32', got None" in ended.out
    assert "> POST /v2/models/oip-identity-fp32/infer" in ended.out
    assert "< 200" in ended.out


def test_what_is_only_recommended_is_shown_and_does_not_decide_the_exit_code() -> None:
    advised = SERVER["http.health.ready.body"](GoodServer().answer)
    with serving(advised) as url:
        ended = sluice("conformance", url, "--only", "http.health.*")
    assert ended.code == 0
    assert re.search(r"advice +http\.health\.ready\.body", ended.out)


def test_checks_of_an_extension_are_tried_when_it_is_advertised_or_with_all() -> None:
    silent = edited(at("/v2"), put(extensions=[]))
    with serving(silent(GoodServer().answer)) as url:
        ended = sluice("conformance", url, "--only", "http.binary.in", "--json", "-")
        tried = sluice("conformance", url, "--only", "http.binary.in", "--json", "-", "--all")
    assert json.loads(ended.out)["checks"][0]["reason"] == "binary_tensor_data is not advertised"
    assert json.loads(tried.out)["checks"][0]["outcome"] == "pass"


def test_a_server_that_lists_nothing_is_asked_for_the_models_that_are_named(tmp_path: Path) -> None:
    written = sluice("conformance", "--write-models", str(tmp_path))
    assert (written.code, written.out) == (0, "")
    unlisted = instead(lambda request: request.path in ("/v2/models", "/v2/repository/index"), 404)
    with serving(unlisted(GoodServer().answer)) as url:
        asked = ("conformance", url, "--only", "http.infer.flat", "--json", "-")
        nothing = sluice(*asked)
        named = sluice(*asked, "--model", "oip-two")
        of_repository = sluice(*asked, "--model-repo", str(tmp_path))
    assert "name one with --model" in nothing.err
    assert json.loads(nothing.out)["checks"][0]["outcome"] == "skipped"
    assert json.loads(named.out)["models"] == ["oip-two"]
    assert len(json.loads(of_repository.out)["known_models"]) == len(list(tmp_path.iterdir()))


def test_nothing_there_is_exit_code_3() -> None:
    ended = sluice("conformance", "http://127.0.0.1:9")
    assert ended.code == 3
    assert ended.err.startswith("sluice: http://127.0.0.1:9 does not answer")


def test_wrong_usage_is_one_line_and_exit_code_2() -> None:
    for arguments, said in (
        ([], "say which server to check"),
        (["ftp://127.0.0.1"], "must look like http://127.0.0.1:8080"),
        (["http://127.0.0.1:9", "--only", "nothing.*"], "no check has such a name"),
    ):
        ended = sluice("conformance", *arguments)
        assert ended.code == 2
        assert said in ended.err
        assert ended.err.count("\n") == 1
