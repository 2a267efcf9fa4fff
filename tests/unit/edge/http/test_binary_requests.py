"""Binary tensors through a whole connection: heads, flags of outputs, and what the answers look like."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from serving.edge.http.limits import HttpLimits
from serving.errors import ServingError
from serving.inference import Answer, CallerContext, Request, Signature, Tensor, TensorSpec
from serving.testing.predictions import FakePredictions, answer_of
from tests.unit.edge.http.binary import body_of, outputs_of, request, tensor
from tests.unit.edge.http.wire import Wire, holding, infer

ROW = tensor("input", "FP32", [1, 3], 12)
VALUES = struct.pack("<3f", 1, 2, 6)
MEAN = struct.pack("<f", 3)
BINARY: Any = {"parameters": {"binary_data_output": True}}


def ask(wire: Wire, *, headers: str = "", **more: Any) -> Any:
    return outputs_of(wire.ask(request(*body_of([ROW], VALUES, **more), headers=headers)))


def test_binary_in_and_json_out_and_the_other_way_round(wire: Wire) -> None:
    assert ask(wire) == {"mean": [3.0]}
    assert ask(wire, **BINARY) == {"mean": MEAN}
    assert outputs_of(wire.ask(infer("1,2,6", more=',"parameters":{"binary_data_output":true}'))) == {"mean": MEAN}


@pytest.mark.parametrize(
    ("wide", "own", "binary"),
    [
        (None, None, False),
        (None, True, True),
        (True, None, True),
        (True, False, False),
        (False, True, True),
        (True, True, True),
    ],
)
def test_the_flag_of_an_output_overrides_the_requests(wire: Wire, wide: Any, own: Any, binary: bool) -> None:
    output: dict[str, Any] = {"name": "mean", "parameters": {} if own is None else {"binary_data": own}}
    parameters = {} if wide is None else {"binary_data_output": wide}
    assert ask(wire, outputs=[output], parameters=parameters) == {"mean": MEAN if binary else [3.0]}
    output["parameters"]["something"] = "else"
    assert ask(wire, outputs=[output], parameters=parameters) == {"mean": MEAN if binary else [3.0]}


def test_the_id_comes_back_and_counts_for_the_length(wire: Wire) -> None:
    answer = wire.ask(request(*body_of([ROW], VALUES, id='7"ü', **BINARY)))
    assert outputs_of(answer) == {"mean": MEAN}
    assert b'"id":"7\\"\xc3\xbc"' in answer.body


def two_outputs(request: Request) -> Answer | ServingError:
    texts = struct.pack("<I", 2) + "ü".encode() + struct.pack("<I", 0)
    return answer_of(
        request,
        (
            Tensor("s", "BYTES", (2, 1), texts),
            Tensor("h", "FP16", (2, 2), b"\0\x3c\0\x40\0\x42\0\x44"),
            Tensor("n", "INT64", (2, 0), b""),
            Tensor("f", "FP32", (2, 1), struct.pack("<2f", 1, float("nan"))),
        ),
    )


@pytest.fixture
def several() -> Wire:
    """A model of four outputs, of which JSON can express one."""
    return Wire(predictions=FakePredictions(reply=two_outputs))


def test_outputs_in_the_order_asked_for_some_as_json(several: Wire) -> None:
    names = ["n", "h", "s"]
    outputs = [{"name": name, "parameters": {"binary_data": name != "s"}} for name in names]
    values = ask(several, outputs=outputs)
    assert list(values) == names
    assert values == {"n": b"", "h": b"\0\x3c\0\x40\0\x42\0\x44", "s": ["ü", ""]}


def test_an_empty_output_has_its_size(several: Wire) -> None:
    answer = several.ask(request(*body_of([ROW], VALUES, outputs=[{"name": "n"}], **BINARY)))
    assert b'"parameters":{"binary_data_size":0}' in answer.body
    assert outputs_of(answer) == {"n": b""}


def test_a_datatype_without_json_is_refused_with_a_hint_where_it_is_asked_for_in_json(several: Wire) -> None:
    answer = several.ask(request(*body_of([ROW], VALUES)))
    assert answer.status == 400
    assert "FP16" in answer.error
    assert "binary" in answer.error


def test_what_json_cannot_express_hints_at_binary(several: Wire) -> None:
    answer = several.ask(request(*body_of([ROW], VALUES, outputs=[{"name": "f"}])))
    assert answer.status == 400
    assert "binary_data_output" in answer.error


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ("x", "must be one number"),
        ("-1", "must be one number"),
        ("+1", "must be one number"),
        ("", "must be one number"),
        ("1" * 30, "must be one number"),
        ("99999", "the body has"),
    ],
)
def test_the_length_of_the_json_part_is_a_number_within_the_body(wire: Wire, size: str, message: str) -> None:
    answer = wire.ask(request(body_of([ROW], VALUES)[0], size))
    assert answer.status == 400
    assert message in answer.error
    assert ask(wire) == {"mean": [3.0]}


def test_the_length_given_twice_is_refused(wire: Wire) -> None:
    body, size = body_of([ROW], VALUES)
    again = f"Inference-Header-Content-Length: {size}\r\n"
    assert wire.ask(request(body, size, headers=again)).status == 400


def test_instances_are_never_binary(wire: Wire) -> None:
    answer = wire.ask(request(*body_of([ROW], VALUES), path="/v1/models/mlp:predict"))
    assert answer.status == 400
    assert "/v2/models/{model}/infer" in answer.error


def test_a_repeated_head_serves_other_bodies_and_other_json_parts(wire: Wire) -> None:
    for values, mean in (((1, 2, 6), 3), ((3, 3, 3), 3), ((0, 0, 9), 3)):
        body, size = body_of([ROW], struct.pack("<3f", *values), **BINARY)
        assert outputs_of(wire.ask(request(body, size))) == {"mean": struct.pack("<f", mean)}
    longer, size = body_of([ROW], VALUES, id="longer", **BINARY)
    assert outputs_of(wire.ask(request(longer, size))) == {"mean": MEAN}
    # The head is the previous one, the body shorter than its JSON part.
    short = wire.ask(request(longer[: size - 1], size))
    assert short.status == 400
    assert outputs_of(wire.ask(request(longer, size))) == {"mean": MEAN}


def test_a_raw_body_is_one_row_answered_in_binary(wire: Wire) -> None:
    assert outputs_of(wire.ask(request(VALUES, 0))) == {"mean": MEAN}
    unknown = wire.ask(request(VALUES, 0, path="/v2/models/other/infer"))
    assert unknown.status == 404


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_bodies_with_tensors_have_the_limit_of_bodies_and_their_json_part_that_of_json(over: int) -> None:
    wire = Wire(limits=HttpLimits(max_json_mb=0.001, max_body_mb=0.004))
    most_json, most_body = wire.limits.max_json_bytes, wire.limits.max_body_bytes
    document, size = body_of([ROW | {"parameters": {"x": ""}}])
    padded, _ = body_of([ROW | {"parameters": {"x": "a" * (most_json - size + over), "binary_data_size": 12}}])
    del document
    body = padded[: most_json + over].ljust(most_json + over) + VALUES
    answer = wire.ask(request(body, most_json + over))
    assert (answer.status == 413) is (over > 0)
    if over > 0:
        assert "JSON part" in answer.error
        assert "max_json_mb" in answer.error
    width = (most_body - 200) // 4
    tensors, size = body_of([tensor("input", "FP32", [1, width], 4 * width)], bytes(4 * width))
    tensors = tensors[:size].ljust(most_body + over - 4 * width) + tensors[size:]
    answer = wire.ask(request(tensors, most_body + over - 4 * width))
    assert answer.status == (413 if over > 0 else 200)
    if over > 0:
        assert "max_body_mb" in answer.error


def test_json_over_its_limit_is_told_of_binary() -> None:
    wire = Wire(limits=HttpLimits(max_json_mb=0.0001))
    answer = wire.ask(infer(",".join(["1"] * 100)))
    assert answer.status == 413
    assert "Inference-Header-Content-Length" in answer.error


def test_a_large_answer_is_written_in_pieces_in_its_place(wire: Wire) -> None:
    large = Signature((TensorSpec("input", "FP32", (-1, -1)),), (TensorSpec("same", "FP32", (-1, -1)),))

    def same(request: Request) -> Answer:
        return answer_of(request, (Tensor("same", "FP32", request.inputs[0].shape, request.inputs[0].data),))

    wire = Wire(predictions=FakePredictions(large, reply=same))
    values = bytes(range(256)) * 1024
    entry = tensor("input", "FP32", [1, len(values) // 4], len(values))
    big = request(*body_of([entry], values, **BINARY))
    small = request(*body_of([ROW], VALUES, **BINARY))
    wire.send(small + big + small)
    one, two, three = wire.answers
    assert outputs_of(one) == outputs_of(three) == {"same": VALUES}
    assert outputs_of(two) == {"same": values}
    assert wire.edge.budget.used == 0


def test_parameters_reach_the_request(wire: Wire) -> None:
    ask(wire, parameters={"priority": 1, "timeout": 20_000, "anything": {"else": [1]}})
    ask(wire, parameters={"timeout": 20_000}, headers="x-request-timeout-ms: 5\r\n")
    ask(wire, parameters={"timeout": 2_000}, headers="x-request-timeout-ms: 5\r\n")
    ask(wire, parameters={"timeout": 0})
    ask(wire, headers="x-request-timeout-ms: 5\r\n")
    accepted = wire.predictions.accepted
    assert [request.timeout_s for request in accepted] == [0.02, 0.005, 0.002, None, 0.005]
    assert [request.priority for request in accepted] == [1, 0, 0, 0, 0]


def test_a_priority_may_come_as_a_header_and_that_of_the_body_counts_before_it(wire: Wire) -> None:
    ask(wire, headers="x-sluice-priority: 3\r\n")
    ask(wire, parameters={"priority": 1}, headers="x-sluice-priority: 3\r\n")
    ask(wire, parameters={"timeout": 5_000}, headers="x-sluice-priority: 3\r\n")
    assert [request.priority for request in wire.predictions.accepted] == [3, 1, 3]


def test_who_is_turned_away_at_the_end_of_a_head_is_judged_by_what_it_says(wire: Wire) -> None:
    ask(wire, parameters={"priority": 1}, headers="x-sluice-priority: 3\r\nx-request-timeout-ms: 5\r\n")
    ask(wire)
    ask(wire, headers="x-sluice-variant: canary\r\n")
    assert wire.predictions.asked_ahead == [(0.005, 3, None), (None, 0, None), (None, 0, "canary")]


@pytest.mark.parametrize("asked", [BINARY, {}], ids=["as it is", "made in turns"])
async def test_an_answer_without_room_is_refused_by_its_callers_name_and_not_traced_again(asked: Any) -> None:
    wire = holding()
    trace = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n"
    wire.send(request(*body_of([ROW], VALUES, **asked), headers=f"{trace}x-request-id: r-17\r\n"))
    (held,) = wire.predictions.held
    wire.edge.budget.used = wire.edge.budget.capacity
    held.reply(answer_of(held, (Tensor("y", "UINT8", (1, 1_000_000), bytes(1_000_000)),)))
    assert [one.status for one in wire.answers] == [503]
    assert wire.observer.refusals == [("", "overloaded")]
    assert wire.observer.contexts == [CallerContext(request_id=b"r-17")]


def test_a_large_answer_that_waits_for_an_earlier_one_counts_as_bytes_in_flight() -> None:
    wire = holding()
    wire.send(request(*body_of([ROW], VALUES, **BINARY)) * 2)
    first, second = wire.predictions.held
    before = wire.edge.budget.used
    second.reply(answer_of(second, (Tensor("y", "UINT8", (1, 100_000), bytes(100_000)),)))
    assert wire.edge.budget.used - before > 100_000
    assert not wire.answers
    first.reply(answer_of(first, (Tensor("y", "UINT8", (1, 1), b"\1"),)))
    assert [outputs_of(answer)["y"] for answer in wire.answers] == [b"\1", bytes(100_000)]
    assert wire.edge.budget.used == 0
