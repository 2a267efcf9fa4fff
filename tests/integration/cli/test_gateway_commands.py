"""`predict` and `models` speak with a gateway and say what it said."""

from __future__ import annotations

import json
import socket

from tests.integration.cli.canned_gateway import Answers, canned_gateway
from tests.integration.cli.sluice_command import sluice

BATCHING = {
    "model": "iris",
    "loop_lag_s": 0.0,
    "refused_requests": {"would_be_late": 7},
    "versions": [
        {
            "version": 2,
            "variant": "stable",
            "pool": "default",
            "estimate": {"fixed_s": 0.0004, "row_s": 0.0000125, "margin": 1.5, "runs": 1234},
            "window": {"most_rows": 40, "enough_rows": 12, "max_rows": 64},
            "goal_s": 0.02,
            "promised": True,
            "queue_rows": {},
            "batches": 0,
            "rows_per_batch": 0.0,
            "slack": {"batches": 0, "late": 0, "half_had_s": None, "most_had_s": None},
            "refused_rows": {},
        }
    ],
}
IRIS = {
    "name": "iris",
    "platform": "onnx",
    "versions": ["1", "2"],
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
    "outputs": [{"name": "y", "datatype": "INT64", "shape": [-1]}],
}
ANSWER = {"model_name": "iris", "outputs": [{"name": "y", "datatype": "INT64", "shape": [1], "data": [7]}]}
ANSWERS: Answers = {
    ("GET", "/v2/models"): (200, {"models": [{"name": "iris"}, {"name": "late"}]}),
    ("GET", "/v2/models/iris"): (200, IRIS),
    ("GET", "/v2/models/iris/ready"): (200, {"ready": True}),
    ("GET", "/v2/models/late"): (503, {"error": "late: nothing that lives has it warm"}),
    ("GET", "/api/v1/models/iris/batching"): (200, BATCHING),
    ("POST", "/v2/models/iris/infer"): (200, ANSWER),
    ("POST", "/v2/models/iris/versions/1/infer"): (503, {"error": "the queue is full"}),
    ("GET", "/v2/models/iris/versions/1"): (200, IRIS),
    ("GET", "/v2/models/iris/versions/1/ready"): (200, {"ready": True}),
    ("GET", "/v1/models/iris"): (200, {"name": "iris", "version": "2", "versions": ["1", "2"]}),
    ("POST", "/v1/models/iris:predict"): (200, {"predictions": [0.25]}),
}


def test_a_row_is_sent_as_a_tensor_of_the_models_own_type() -> None:
    with canned_gateway(ANSWERS) as (url, sent):
        ended = sluice("predict", "iris", "--row", "1,2,3,4", "--key", "me", "--timeout-ms", "50", "--url", url)
    assert (ended.code, ended.err) == (0, "")
    assert "iris  version 2  stable" in ended.out
    assert "INT64" in ended.out
    path, headers, body = sent[-1]
    assert path == "/v2/models/iris/infer"
    assert (headers["x-sluice-key"], headers["x-request-timeout-ms"]) == ("me", "50")
    assert body == {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [[1, 2, 3, 4]]}]}


def test_fields_are_sent_as_one_instance() -> None:
    with canned_gateway(ANSWERS) as (url, sent):
        ended = sluice("predict", "iris", "--set", "tail=N1", "--set", "hour=5", "--json", "--url", url)
    assert json.loads(ended.out)["answer"] == {"predictions": [0.25]}
    assert json.loads(ended.out)["version"] == 2
    assert json.loads(ended.out)["degraded"] == "plane=not_found"
    assert sent[-1][2] == {"instances": [{"tail": "N1", "hour": 5}]}


def test_an_error_of_the_gateway_is_one_line_and_exit_code_1() -> None:
    with canned_gateway(ANSWERS) as (url, _):
        ended = sluice("predict", "iris", "--row", "1,2,3,4", "--version", "1", "--url", url)
    assert ended.code == 1
    assert ended.err == f"sluice: {url} answered 503: the queue is full\n"


def test_an_input_that_the_model_does_not_have_is_wrong_usage() -> None:
    with canned_gateway(ANSWERS) as (url, _):
        ended = sluice("predict", "iris", "--input", "z=[1]", "--url", url)
    assert ended.code == 2
    assert ended.err == "sluice: iris has no input 'z'; its inputs: x\n"


def test_models_are_listed_also_while_one_is_not_ready() -> None:
    with canned_gateway(ANSWERS) as (url, _):
        told, as_json = sluice("models", "list", "--url", url), sluice("models", "list", "--json", "--url", url)
    assert told.code == 0
    assert "nothing that lives has it warm" in told.out
    assert [(one["name"], one["default"], one["ready"]) for one in json.loads(as_json.out)["models"]] == [
        ("iris", 2, True),
        ("late", None, False),
    ]


def test_a_model_is_shown_with_a_curl_that_fits_it() -> None:
    with canned_gateway(ANSWERS) as (url, _):
        ended = sluice("models", "show", "iris", "--url", url)
    assert f"curl -s {url}/v2/models/iris/infer" in ended.out
    assert '"shape":[1,4],"data":[0,0,0,0]' in ended.out
    assert "versions 1, 2, by default 2" in ended.out


def test_an_unknown_model_is_exit_code_1() -> None:
    with canned_gateway(ANSWERS) as (url, _):
        ended = sluice("models", "show", "none", "--url", url)
    assert (ended.code, ended.err) == (1, f"sluice: {url} answered 404: no such thing\n")


def test_nothing_there_is_exit_code_3() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        for command in (["models", "list"], ["models", "show", "m"], ["predict", "m", "--row", "1"]):
            ended = sluice(*command, "--url", url)
            assert ended.code == 3
            assert ended.err.startswith(f"sluice: {url} does not answer (connection refused)")
            assert ended.out == ""


def test_a_restart_without_a_session_is_exit_code_3() -> None:
    ended = sluice("restart", "--http-port", "1")
    assert ended.code == 3
    assert "no session of yours runs on port 1" in ended.err


def test_an_address_that_is_none_is_wrong_usage() -> None:
    assert sluice("models", "list", "--url", "ftp://h").code == 2


def test_ids_are_sent_as_text() -> None:
    with canned_gateway(ANSWERS) as (url, sent):
        ended = sluice("predict", "iris", "--entity", "flight=17", "--set", "hour=5", "--url", url)
    assert ended.code == 0
    assert sent[-1][2] == {"instances": [{"flight": "17", "hour": 5}]}


def test_what_cannot_be_in_a_header_is_wrong_usage_and_other_letters_are_sent() -> None:
    with canned_gateway(ANSWERS) as (url, sent):
        broken = sluice("predict", "iris", "--row", "1,2,3,4", "--key", "a\nb", "--url", url)
        letters = sluice("predict", "iris", "--row", "1,2,3,4", "--key", "ключ", "--url", url)
    assert broken.code == 2
    assert "a header has no line breaks" in broken.err
    assert letters.code == 0
    assert sent[-1][1]["x-sluice-key"].encode("latin-1").decode() == "ключ"


def test_a_server_that_is_no_gateway_is_one_line() -> None:
    page: Answers = {("GET", "/v2/models"): (502, "<html>\n<p>proxy\n")}
    with canned_gateway(page) as (url, _):
        ended = sluice("models", "list", "--url", url)
    assert ended.code == 1
    assert ended.err.startswith(f"sluice: {url} answered 502: ")
    assert ended.err.count("\n") == 1


# As MLServer answers: versions that are no numbers, a model without inputs, FastAPI's words for what is wrong.
WRONG = {"detail": [{"loc": ["body", "inputs", 0, "shape"], "msg": "field required", "type": "value_error.missing"}]}
FOREIGN: Answers = {
    ("GET", "/v2/models/iris"): (200, {**IRIS, "versions": ["v1.0"], "platform": ""}),
    ("GET", "/v2/models/untold"): (
        200,
        {"name": "untold", "versions": [], "platform": "", "inputs": [], "outputs": []},
    ),
    ("POST", "/v2/models/iris/infer"): (
        200,
        {**ANSWER, "model_version": "v1.0", "id": "1", "outputs": [{**ANSWER["outputs"][0], "data": [[7], [8]]}]},  # type: ignore[dict-item]
    ),
    ("POST", "/v2/models/untold/infer"): (422, WRONG),
    ("GET", "/v2/models/gone"): (404, {"detail": "Model gone not found"}),
    ("GET", "/below/v2/models/iris"): (200, IRIS),
    ("POST", "/below/v2/models/iris/infer"): (200, ANSWER),
}


def test_any_server_of_the_protocol_predicts_by_its_metadata_alone() -> None:
    with canned_gateway(FOREIGN, foreign=True) as (url, sent):
        ended = sluice("predict", "iris", "--row", "1,2,3,4", "--url", url)
        as_json = sluice("predict", "iris", "--row", "1,2,3,4", "--json", "--url", url)
        below = sluice("predict", "iris", "--row", "1,2,3,4", "--url", f"{url}/below/")
    assert (ended.code, ended.err) == (0, "")
    assert "version v1.0" in ended.out
    assert "7 8" in ended.out
    assert (json.loads(as_json.out)["version"], json.loads(as_json.out)["variant"]) == ("v1.0", None)
    assert (below.code, sent[-1][0]) == (0, "/below/v2/models/iris/infer")
    assert {path for path, _, _ in sent} == {key[1] for key in FOREIGN if "iris" in key[1]}


def test_what_another_server_calls_detail_is_told() -> None:
    with canned_gateway(FOREIGN, foreign=True) as (url, sent):
        refused = sluice("predict", "untold", "--input", "x=[[1, 2.5]]", "--url", url)
        gone = sluice("predict", "gone", "--row", "1", "--url", url)
    assert refused.err == f"sluice: {url} answered 422: body.inputs.0.shape: field required\n"
    assert sent[1][2] == {"inputs": [{"name": "x", "datatype": "FP64", "shape": [1, 2], "data": [[1, 2.5]]}]}
    assert (gone.code, gone.err) == (1, f"sluice: {url} answered 404: Model gone not found\n")


def test_a_named_control_api_is_asked_with_its_token_how_the_model_is_batched() -> None:
    with canned_gateway(ANSWERS) as (url, sent):
        shown = ("models", "show", "iris", "--url", url, "--control-url", url)
        ended = sluice(*shown, SLUICE_CONTROL_TOKEN="0123456789abcdefXYZ")
        assert (ended.code, ended.err) == (0, "")
        assert "a batch of n rows runs 0.4 + 0.0125 * n ms" in ended.out
        assert "requests that reached no batch: would_be_late 7" in ended.out
        assert sent[-1][1]["authorization"] == "Bearer 0123456789abcdefXYZ"
        ended = sluice(*shown, "--json", SLUICE_CONTROL_TOKEN="0123456789abcdefXYZ")
        assert json.loads(ended.out)["batching"] == BATCHING
        other = sluice(*shown[:2], "late", *shown[3:], SLUICE_CONTROL_TOKEN="0123456789abcdefXYZ")
    assert other.code == 1
    assert "no such thing" in other.err


def test_without_a_session_on_its_port_a_server_is_shown_without_batching() -> None:
    with canned_gateway(ANSWERS) as (url, sent):
        ended = sluice("models", "show", "iris", "--url", url, "--json")
        assert "/api/v1/models/iris/batching" not in [path for path, *_ in sent]
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out)["batching"] is None
