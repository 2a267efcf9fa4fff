"""Instances by entity: from a body to what is looked up, and from the answer to its headers."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import shlex
from typing import Any

import orjson
import pytest

from serving.edge.http import instances
from serving.edge.http.limits import HttpLimits
from serving.edge.http.oversize_decoder import Document, OversizeDecoder
from serving.edge.http.oversize_frames import LENGTHS, decoded_entities, request_frame
from serving.edge.http.oversize_process import serve
from serving.errors import BadRequest, ServingError, UnknownEntity
from serving.features.compilation import compile_plan
from serving.features.entity_rows import EntityRows
from serving.features.explanation import Wants
from serving.features.feast.feast_source import FeastSource, JoinKey, KeyType
from serving.features.feature_view import FeatureView, feature
from serving.features.model_inputs import ModelInputs
from serving.features.packed import RowLayout
from serving.features.plan import ReadPlan
from serving.inference import Answer, Request, Signature, Tensor, TensorSpec
from serving.testing.administration import TOKEN, FakeAdministration
from serving.testing.predictions import answer_of
from tests.unit.edge.http.test_oversize_process import Recorder
from tests.unit.edge.http.wire import Response, Wire

PLANE = FeatureView("plane", ("tailnum",), (feature("year", default=2001.5), feature("seats")), max_age_s=60.0)
ROUTE = FeatureView("route", ("origin", "dest"), (feature("delay"),))
COLUMNS = ("plane.year", "plane.seats", "route.delay", "request.hour", "request.gust")
SIGNATURE = Signature((TensorSpec("x", "FP32", (-1, 5)),), (TensorSpec("y", "FP32", (-1, 1)),))
PLAN = compile_plan(ModelInputs("mlp", (("x", COLUMNS),), (PLANE, ROUTE), {"gust": 25.0}), SIGNATURE)
FLIGHT = {"tailnum": "N1", "origin": "EWR", "dest": "IAH", "hour": 5}


def found(request: Request) -> Answer:
    """As after a look-up in which a plane was not there."""
    assert isinstance(request.entities, EntityRows)
    count = request.entities.count
    request.degraded = "plane=not_found"
    request.features_s = 0.0005
    rows = request.entities
    if rows.wants is not None:
        keys = dict.fromkeys(rows.keys)
        rows.told = PLAN.explanation.told(rows, keys, 0, PLAN.tensors(rows, keys, 0).tensors)
    return answer_of(request, (Tensor("y", "FP32", (count, 1), bytes(4 * count)),))


@pytest.fixture
def wire() -> Wire:
    one = Wire()
    described = one.predictions.described["mlp"]
    one.predictions.described["mlp"] = dataclasses.replace(described, signature=SIGNATURE, plan=PLAN)
    one.predictions.reply = found
    return one


def predict(wire: Wire, rows: Any, headers: str = "") -> Response:
    body = orjson.dumps({"instances": rows})
    head = f"POST /v1/models/mlp:predict HTTP/1.1\r\nHost: a\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    return wire.ask(head.encode() + body)


def test_a_priority_reaches_requests_by_entity(wire: Wire) -> None:
    predict(wire, [FLIGHT], "x-sluice-priority: 3\r\n")
    predict(wire, [FLIGHT])
    assert [request.priority for request in wire.predictions.accepted] == [3, 0]


def test_entities_are_read_by_the_models_plan_and_answered_one_by_one(wire: Wire) -> None:
    answer = predict(wire, [FLIGHT, {**FLIGHT, "gust": 3}])
    assert (answer.status, answer.json) == (200, {"predictions": [[0.0], [0.0]]})
    (request,) = wire.predictions.accepted
    assert isinstance(request.entities, EntityRows)
    assert request.entities.keys[:2] == [b"sluice:f:plane:2:N1", b"sluice:f:route:3:EWR3:IAH"]


def test_an_answer_tells_what_was_a_default_and_how_long_the_look_up_took(wire: Wire) -> None:
    answer = predict(wire, [FLIGHT])
    assert answer.headers["x-sluice-degraded"] == "plane=not_found"
    assert "features;dur=0.500" in answer.headers["server-timing"]


@pytest.mark.parametrize(("headers", "key"), [("", b"N1"), ("X-Sluice-Key: me\r\n", b"me")])
def test_the_first_entity_decides_the_variant_unless_the_caller_names_a_key(
    wire: Wire, headers: str, key: bytes
) -> None:
    predict(wire, [FLIGHT, {**FLIGHT, "tailnum": "N2"}], headers)
    assert wire.predictions.accepted[0].key == key


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{**FLIGHT, "hour": "five"}], "instances[0]: field 'hour' must be a number, got text"),
        ([FLIGHT, {**FLIGHT, "our": 5}], "instances[1]: unknown field 'our'; the model's fields are tailnum, origin,"),
        ([{"tailnum": "N1", "origin": "EWR", "hour": 5}], "instances[0]: field 'dest' is missing; the model needs"),
        ([{**FLIGHT, "tailnum": None}], "instances[0]: field 'tailnum' is null"),
        ([{**FLIGHT, "tailnum": 1.5}], "instances[0]: field 'tailnum' must be text or a whole number, got a number"),
        ([{**FLIGHT, "hour": 1e39}], "instances[0]: field 'hour' is 1e+39, which is too large for FP32"),
        ([[1, 2, 3, 4, 5]], "instances[0] must be an object with the fields tailnum, origin, dest, hour, gust"),
        ([], "`instances` must be an array of at least one instance"),
    ],
)
def test_what_does_not_fit_is_named_with_what_is_known(wire: Wire, rows: Any, said: str) -> None:
    answer = predict(wire, rows)
    assert answer.status == 400
    assert said in answer.error


def test_a_thousand_instances_are_one_request(wire: Wire) -> None:
    answer = predict(wire, [{**FLIGHT, "tailnum": f"N{n}"} for n in range(1_000)])
    assert len(answer.json["predictions"]) == 1_000


@pytest.mark.parametrize(
    ("count", "padding", "elsewhere"), [(8_180, 0, False), (8_200, 0, True), (900, 200, False), (900, 300, True)]
)
def test_many_instances_by_entity_are_read_elsewhere(wire: Wire, count: int, padding: int, elsewhere: bool) -> None:
    plan_of(wire, ModelInputs("mlp", (("x", ("plane.year",)),), (PLANE,)), TensorSpec("x", "FP32", (-1, 1)))
    wire.edge.oversize = recorder = Recorder()
    head, body = (
        b"POST /v1/models/mlp:predict HTTP/1.1\r\nHost: a\r\n",
        orjson.dumps({"instances": [{"tailnum": "N" + "1" * padding}] * count}),
    )
    wire.send(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert bool(recorder.documents) is elsewhere
    assert len(wire.answers) == (not elsewhere)


def test_a_models_page_tells_what_to_send_and_its_curl_works(wire: Wire) -> None:
    page = wire.ask(b"GET /v1/models/mlp HTTP/1.1\r\nHost: a\r\n\r\n").json
    assert page["entity_keys"] == ["tailnum", "origin", "dest"]
    assert page["entity_key_types"] == dict.fromkeys(page["entity_keys"], "string")
    assert page["request_features"] == [
        {"name": "hour", "datatype": "FP32", "required": True, "default": None},
        {"name": "gust", "datatype": "FP32", "required": False, "default": 25.0},
    ]
    plane = page["feature_views"][0]
    assert (plane["name"], plane["max_age_s"]) == ("plane", 60.0)
    assert plane["features"][0] == {"name": "year", "dtype": "float32", "default": 2001.5}
    assert plane["features"][1]["default"] is None
    sent = orjson.loads(shlex.split(page["curl"])[-1])
    assert predict(wire, sent["instances"]).status == 200


def explained(wire: Wire, parameters: object, headers: str = "", path: str = "mlp", rows: Any = (FLIGHT,)) -> Response:
    body = orjson.dumps({"instances": rows, "parameters": parameters})
    head = f"POST /v1/models/{path}:predict HTTP/1.1\r\nHost: a\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    return wire.ask(head.encode() + body)


def test_an_answer_tells_the_status_of_each_feature_where_it_is_asked_for(wire: Wire) -> None:
    answer = explained(wire, {"feature_status": True})
    assert (answer.status, answer.json["predictions"]) == (200, [[0.0]])
    year = {"status": "NOT_FOUND", "age_s": None, "filled_by": "default"}
    assert [one["plane.year"] for one in answer.json["feature_status"]] == [year]
    assert "features" not in answer.json
    assert explained(wire, {"feature_status": False}).json == {"predictions": [[0.0]]}


@pytest.mark.parametrize("rows", [[FLIGHT], [FLIGHT, FLIGHT]])
def test_the_token_shows_the_row_that_a_prediction_was_made_of(wire: Wire, rows: Any) -> None:
    wire.predictions.administration = FakeAdministration()
    answer = explained(wire, {"return_features": True}, f"Authorization: Bearer {TOKEN}\r\n", rows=rows)
    row = {"plane.year": 2001.5, "plane.seats": None, "route.delay": None, "request.hour": 5.0, "request.gust": 25.0}
    assert answer.json["features"] == [{"x": row}] * len(rows)
    assert len(answer.json["predictions"]) == len(rows)


@pytest.mark.parametrize(
    ("is_open", "headers", "status", "said"),
    [
        (False, f"Authorization: Bearer {TOKEN}\r\n", 403, "only with http.return_features: token"),
        (True, "", 401, "send the token"),
        (True, "Authorization: Bearer another\r\n", 401, "send the token"),
    ],
)
def test_values_are_shown_to_nobody_else(wire: Wire, is_open: bool, headers: str, status: int, said: str) -> None:
    wire.predictions.administration = FakeAdministration(is_open=is_open)
    answer = explained(wire, {"feature_status": True, "return_features": True}, headers)
    assert (answer.status, answer.error) == (status, said)
    assert not wire.predictions.accepted


@pytest.mark.parametrize(
    ("parameters", "rows", "said"),
    [
        ({"feature_status": 1}, [FLIGHT], "parameter 'feature_status' must be true or false, got 1"),
        ({"feature_status": True}, [FLIGHT] * 2_000, "are told of at most 819 instances of this model at a time"),
    ],
)
def test_what_cannot_be_told_is_refused(wire: Wire, parameters: object, rows: Any, said: str) -> None:
    answer = explained(wire, parameters, rows=rows)
    assert answer.status == 400
    assert said in answer.error


def test_a_model_of_tensors_has_no_features_to_tell_of(wire: Wire) -> None:
    described = wire.predictions.described["mlp"]
    wire.predictions.described["mlp"] = dataclasses.replace(described, plan=None)
    answer = explained(wire, {"feature_status": True}, rows=[[1, 2, 3, 4, 5]])
    assert answer.status == 400
    assert "for models whose inputs are made of features" in answer.error


def test_the_decoding_process_tells_what_is_asked() -> None:
    body = orjson.dumps({"instances": [FLIGHT], "parameters": {"return_features": True}})
    assert decoded_entities(PLAN, *through(PLAN, body), never).wants == Wants(status=False, values=True)


def plan_of(wire: Wire, inputs: ModelInputs, *specs: TensorSpec) -> None:
    described = wire.predictions.described["mlp"]
    of_ids = Signature(specs, SIGNATURE.outputs)
    wire.predictions.described["mlp"] = dataclasses.replace(
        described, signature=of_ids, plan=compile_plan(inputs, of_ids)
    )


@pytest.mark.parametrize("kinds", [("int64", "string"), ("int32", "int64"), ("string", "int32")])
def test_the_page_tells_the_type_of_each_join_key_and_its_curl_is_taken(
    wire: Wire, kinds: tuple[KeyType, KeyType]
) -> None:
    source = FeastSource("rides", "stats", tuple(map(JoinKey, ("driver_id", "city"), kinds)))
    stats = FeatureView("stats", ("driver", "city"), (feature("rating"),), feast=source)
    # The same id finds a packed row, which takes text as well.
    home = FeatureView("home", ("driver",), (feature("lat"),))
    inputs = ModelInputs("mlp", (("x", ("home.lat", "stats.rating")),), (home, stats))
    plan_of(wire, inputs, TensorSpec("x", "FP32", (-1, 2)))
    page = wire.ask(b"GET /v1/models/mlp HTTP/1.1\r\nHost: a\r\n\r\n").json
    assert page["entity_key_types"] == dict(zip(("driver", "city"), kinds, strict=True))
    (sent,) = orjson.loads(shlex.split(page["curl"])[-1])["instances"]
    assert predict(wire, [sent]).status == 200
    assert [sent["driver"] == 1001, sent["city"] == 1001] == [kind != "string" for kind in kinds]


def test_the_curl_works_where_an_id_is_a_number_for_the_model_as_well(wire: Wire) -> None:
    by_hour = FeatureView("by_hour", ("hour",), (feature("delay"),))
    columns = ("by_hour.delay", "request.hour", "request.gust")
    inputs = ModelInputs("mlp", (("x", columns), ("day", ("request.gust",))), (by_hour,))
    plan_of(wire, inputs, TensorSpec("x", "FP32", (-1, 3)), TensorSpec("day", "INT64", (-1, 1)))
    page = wire.ask(b"GET /v1/models/mlp HTTP/1.1\r\nHost: a\r\n\r\n").json
    assert page["entity_key_types"] == {"hour": "int64"}
    sent = orjson.loads(shlex.split(page["curl"])[-1])
    assert predict(wire, sent["instances"]).status == 200
    assert wire.predictions.accepted[0].key == b"0"


def test_a_model_that_takes_no_defaults_says_that_its_curl_needs_ids_that_have_rows(wire: Wire) -> None:
    ask = b"GET /v1/models/mlp HTTP/1.1\r\nHost: a\r\n\r\n"
    assert "curl_note" not in wire.ask(ask).json
    inputs = ModelInputs("mlp", (("x", COLUMNS),), (PLANE, ROUTE), {"gust": 25.0}, "fail")
    plan_of(wire, inputs, *SIGNATURE.inputs)
    assert "put in ids that have rows" in wire.ask(ask).json["curl_note"]


def test_a_field_of_any_length_is_told_in_a_line(wire: Wire) -> None:
    answer = predict(wire, [{**FLIGHT, "x" * 100_000: 1}])
    assert answer.status == 400
    assert f"unknown field '{'x' * 59}...; the model's fields are" in answer.error
    assert len(answer.error) < 300


def never(plan: ReadPlan, told: object) -> None:
    raise AssertionError("nobody asked for another plan")


def through(plan: ReadPlan, body: bytes) -> tuple[bytes, bytes]:
    sink = io.BytesIO()
    serve(io.BytesIO(b"".join(request_frame(plan, body))), sink)
    reply = sink.getvalue()
    head, blob = LENGTHS.unpack_from(reply)
    start = LENGTHS.size
    assert len(reply) == start + head + blob
    return reply[start : start + head], reply[start + head :]


def test_the_decoding_process_reads_entities_as_the_gateway_does() -> None:
    body = orjson.dumps({"instances": [FLIGHT, {**FLIGHT, "gust": 3}]})
    there = decoded_entities(PLAN, *through(PLAN, body), never)
    here = PLAN.read(instances.listed(body))
    assert (there.keys, there.sent, there.key, there.count) == (here.keys, here.sent, here.key, 2)


def test_the_decoding_process_refuses_entities_as_the_gateway_does() -> None:
    body = orjson.dumps({"instances": [FLIGHT, {}]})
    with pytest.raises(BadRequest, match=r"instances\[1\]: field 'tailnum' is missing"):
        decoded_entities(PLAN, *through(PLAN, body), never)


def test_an_unknown_entity_of_a_large_document_is_named_without_a_look_at_the_document() -> None:
    plan = compile_plan(ModelInputs("mlp", (("x", COLUMNS),), (PLANE, ROUTE), {"gust": 25.0}, "fail"), SIGNATURE)
    body = orjson.dumps({"instances": [{**FLIGHT, "origin": "7:E", "dest": 12}]})
    rows = decoded_entities(plan, *through(plan, body), never)
    known = {rows.keys[0]: RowLayout(PLANE).pack([1.0, 2.0], 1), rows.keys[1]: None}
    refusal = plan.tensors(rows, known, 1).refusal
    assert isinstance(refusal, UnknownEntity)
    assert "the row of origin '7:E', dest '12' in feature view 'route'" in refusal.message


class InTheChild(OversizeDecoder):
    """Decodes as the child process does, and keeps by what it was asked to."""

    def __init__(self) -> None:
        super().__init__(HttpLimits())
        self.asked: list[object] = []

    async def _ask(self, document: Document) -> tuple[bytes, bytes]:
        assert isinstance(document.form, ReadPlan)
        self.asked.append(document.form)
        return through(document.form, bytes(document.body))


async def test_another_versions_plan_has_a_large_document_read_by_the_child_as_well(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature = dataclasses.replace(SIGNATURE, inputs=(TensorSpec("x", "FP64", (-1, 5)),))
    doubles = compile_plan(PLAN.recipe[0], signature)
    wire.edge.oversize = decoder = InTheChild()
    wire.predictions.hold = True
    body = orjson.dumps({"instances": [{**FLIGHT, "tailnum": f"N{number}"} for number in range(8_200)]})
    head = b"POST /v1/models/mlp:predict HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
    wire.send(head + body)
    for _ in range(10):
        await asyncio.sleep(0)
    (request,) = wire.predictions.held
    first = request.entities
    assert isinstance(first, EntityRows)
    told: list[EntityRows | ServingError] = []
    first.again(doubles, told.append)
    assert told == [], "not in this turn"
    for _ in range(10):
        await asyncio.sleep(0)
    (second,) = told
    assert isinstance(second, EntityRows)
    assert (second.plan, second.count, second.keys) == (doubles, 8_200, first.keys)
    assert second.sent != first.sent
    # A third version may come while the second one's rows are looked up; and nothing is read for who has left.
    second.again(PLAN, told.append)
    wire.connection.connection_lost(None)
    for _ in range(10):
        await asyncio.sleep(0)
    assert len(told) == 1
    assert decoder.asked == [PLAN, doubles]
