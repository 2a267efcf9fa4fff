"""One connection: order, back-pressure, time-outs, closing, and callers who leave."""

from __future__ import annotations

import re

import pytest

from serving.edge.http.limits import HttpLimits
from serving.errors import DeadlineExceeded, ModelFailed, Overloaded, ServingError
from serving.inference import Answer, Request, Tensor
from serving.testing.predictions import FakePredictions, answer_of
from tests.unit.edge.http.wire import GET, Wire, holding, infer, mean, post, responses

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


# --- answers


def test_a_prediction_is_answered_with_its_stages_and_variant(wire: Wire) -> None:
    answer = wire.ask(infer("1,2,3", more=',"id":"q1"'))
    assert answer.status == 200
    assert answer.json == {
        "model_name": "mlp",
        "model_version": "3",
        "id": "q1",
        "outputs": [{"name": "mean", "shape": [1, 1], "datatype": "FP32", "data": [2.0]}],
    }
    assert answer.headers["content-type"] == "application/json"
    assert (answer.headers["x-sluice-variant"], answer.headers["x-sluice-version"]) == ("stable", "3")
    assert re.fullmatch(r"queue;dur=[0-9.]+, run;dur=[0-9.]+", answer.headers["server-timing"])
    assert wire.edge.budget.used == 0


def test_v1_instances_are_predicted_in_their_order(wire: Wire) -> None:
    answer = wire.ask(post('{"instances":[{"input":[1,3]},{"input":[5,7]}]}', path="/v1/models/mlp:predict"))
    assert answer.json == {"predictions": [[2.0], [6.0]]}


def test_what_the_headers_ask_for_reaches_the_request_path(wire: Wire) -> None:
    wire.ask(infer(path="/v2/models/mlp/versions/2/infer", headers="x-sluice-key: k\r\nx-request-timeout-ms: 50\r\n"))
    wire.ask(infer(headers="x-sluice-variant: canary\r\n"))
    first, second = wire.predictions.accepted
    assert (first.model, first.version, first.key, first.timeout_s) == ("mlp", 2, b"k", 0.05)
    assert (second.version, second.key, second.timeout_s, second.pinned) == (None, None, None, "canary")
    assert first.received_at == first.accepted_at == wire.now


def test_a_traceparent_is_echoed_on_answers_and_on_errors(wire: Wire) -> None:
    header = f"traceparent: {TRACE}\r\n"
    assert wire.ask(infer(headers=header)).headers["traceparent"] == TRACE
    assert wire.ask(post("{", headers=header)).headers["traceparent"] == TRACE
    assert "traceparent" not in wire.ask(infer(headers="traceparent: nonsense\r\n")).headers


@pytest.mark.parametrize(
    ("error", "status"),
    [(DeadlineExceeded("late"), 504), (ModelFailed("broken"), 500), (Overloaded("full", retry_after_s=2.2), 503)],
)
def test_an_error_of_the_request_path_is_an_error_answer(error: ServingError, status: int) -> None:
    wire = Wire(predictions=FakePredictions(reply=lambda _: error))
    answer = wire.ask(infer())
    assert (answer.status, answer.error) == (status, error.message)
    assert answer.headers.get("retry-after") == ("3" if status == 503 else None)
    assert wire.ask(infer()).status == status


def test_a_bad_body_is_refused_and_the_next_request_is_served(wire: Wire) -> None:
    answer = wire.ask(post("{"))
    assert answer.status == 400
    assert "not JSON" in answer.error
    assert wire.ask(infer()).status == 200
    assert wire.observer.refusals == [("mlp", "bad_request")]
    assert wire.edge.budget.used == 0


def test_a_defect_in_accepting_a_request_costs_that_request_alone(wire: Wire) -> None:
    accept = wire.predictions.accept

    def broken(request: Request) -> None:
        del request
        raise ZeroDivisionError

    wire.predictions.accept = broken  # type: ignore[method-assign]
    assert wire.ask(infer()).status == 500
    wire.predictions.accept = accept  # type: ignore[method-assign]
    assert wire.ask(infer()).status == 200
    assert wire.edge.budget.used == 0


def test_an_unknown_model_is_refused_and_its_name_is_no_label(wire: Wire) -> None:
    assert wire.ask(infer(path="/v2/models/nobody/infer")).status == 404
    assert wire.observer.refusals == [("", "unknown_model")]


def test_an_answer_that_cannot_be_encoded_is_an_error_of_that_caller_alone() -> None:
    def reply(request: Request) -> Answer:
        return answer_of(request, (Tensor("mean", "FP32", (1, 1), b"\0"),))

    wire = Wire(predictions=FakePredictions(reply=reply))
    assert "could not be encoded" in wire.ask(infer()).error


def test_an_unknown_output_is_refused(wire: Wire) -> None:
    answer = wire.ask(infer(more=',"outputs":[{"name":"nope"}]'))
    assert (answer.status, answer.error) == (400, "unknown output 'nope'; the model has mean")


def test_head_has_the_headers_of_get_and_no_body(wire: Wire) -> None:
    wire.send(GET)
    wire.send(GET.replace(b"GET", b"HEAD"))
    got = wire.transport.writes[0]
    assert wire.transport.writes[1] == got[: got.index(b"\r\n\r\n") + 4]


# --- order and pipelining


def test_pipelined_requests_are_answered_in_order_and_in_one_write(wire: Wire) -> None:
    wire.send(b"".join(infer(str(number)) for number in range(10)))
    assert [mean(answer) for answer in wire.answers] == list(range(10))
    assert len(wire.transport.writes) == 1


def test_an_answer_waits_for_the_earlier_ones_and_counts_while_it_waits() -> None:
    wire = holding()
    wire.send(infer("1") + infer("2") + GET)
    first, second = wire.predictions.held
    used = wire.edge.budget.used
    assert used > 0
    second.reply(wire.predictions.reply(second))
    assert wire.transport.writes == []
    assert wire.edge.budget.used > used
    first.reply(wire.predictions.reply(first))
    one, two, three = wire.answers
    assert (mean(one), mean(two)) == (1, 2)
    assert three.json["name"] == "sluice"
    assert wire.edge.budget.used == 0


def test_requests_past_the_bound_are_held_unaccepted_and_nothing_is_read_meanwhile() -> None:
    wire = holding(HttpLimits(max_pipelined=4))
    wire.send(b"".join(infer(str(number)) for number in range(11)))
    accepted = 0
    while wire.predictions.held:
        assert len(wire.predictions.held) <= 4
        assert wire.transport.is_reading() is (accepted + len(wire.predictions.held) == 11)
        accepted += len(wire.predictions.held)
        wire.predictions.release()
    assert [mean(answer) for answer in wire.answers] == list(range(11))
    assert wire.transport.is_reading()
    assert wire.edge.budget.used == 0


def test_thousands_of_requests_in_one_read_are_answered_without_deep_recursion(wire: Wire) -> None:
    wire.send(GET * 5000)
    assert len(wire.answers) == 5000
    assert wire.edge.budget.used == 0


def test_a_refusal_keeps_its_place_in_the_order() -> None:
    wire = holding(HttpLimits(max_pipelined=1))
    wire.send(infer("1") + infer(path="/nowhere") + infer("3"))
    assert wire.answers == []
    wire.predictions.release()
    wire.predictions.release()
    assert [answer.status for answer in wire.answers] == [200, 404, 200]


def test_bytes_that_are_no_http_are_answered_after_what_came_before() -> None:
    wire = holding()
    wire.send(infer("1") + b"\x16\x03\x01")
    assert wire.answers == []
    wire.predictions.release()
    good, bad = wire.answers
    assert (good.status, bad.status) == (200, 400)
    assert "connection" not in good.headers
    assert bad.headers["connection"] == "close"
    assert "not HTTP/1.1" in bad.error
    assert wire.transport.was_finished()


# --- 100-continue


def test_leave_to_send_a_body_is_given_at_once(wire: Wire) -> None:
    request = infer(headers="Expect: 100-continue\r\n")
    head, body = request.split(b"\r\n\r\n")
    wire.send(head + b"\r\n\r\n")
    assert wire.transport.written == b"HTTP/1.1 100 Continue\r\n\r\n"
    wire.send(body)
    assert [answer.status for answer in wire.answers] == [100, 200]


def test_leave_is_not_given_before_earlier_answers() -> None:
    wire = holding()
    request = infer("2", headers="Expect: 100-continue\r\n")
    head, body = request.split(b"\r\n\r\n")
    wire.send(infer("1") + head + b"\r\n\r\n")
    assert wire.transport.writes == []
    wire.predictions.release()
    assert [answer.status for answer in wire.answers] == [200, 100]
    wire.send(body)
    wire.predictions.release()
    assert [answer.status for answer in wire.answers] == [200, 100, 200]


def test_a_refused_body_that_waits_for_leave_is_never_asked_for(wire: Wire) -> None:
    wire.predictions.refusals["mlp"] = Overloaded("full")
    wire.send(infer(headers="Expect: 100-continue\r\n").split(b"\r\n\r\n")[0] + b"\r\n\r\n")
    assert wire.answer.status == 503
    assert wire.answer.headers["connection"] == "close"


# --- closing


def test_a_client_that_asks_for_it_is_closed_after_its_answer(wire: Wire) -> None:
    answer = wire.ask(infer(headers="Connection: close\r\n"))
    assert answer.headers["connection"] == "close"
    assert wire.transport.was_finished()
    assert not wire.transport.closing
    assert wire.connection.eof_received() is False


def test_http_1_0_closes_unless_asked_to_stay(wire: Wire) -> None:
    wire.send(b"GET /v2 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert wire.answer.headers["connection"] == "keep-alive"
    assert not wire.transport.was_finished()
    other, connection = wire.connect()
    connection.data_received(b"GET /v2 HTTP/1.0\r\n\r\n")
    (answer,) = responses(other.written)
    assert answer.headers["connection"] == "close"
    assert other.eof_written


def test_a_body_too_large_is_refused_at_its_head_and_what_follows_is_served(wire: Wire) -> None:
    wire.send(b"POST /v2/models/mlp/infer HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n")
    assert wire.answer.status == 413
    assert "max_json_mb" in wire.answer.error
    for _ in range(90):
        wire.send(b"x" * 100_000)
    assert wire.edge.budget.used == 0
    assert wire.ask(infer()).status == 200


def test_what_is_dropped_after_the_last_answer_is_bounded() -> None:
    wire = Wire(limits=HttpLimits(max_discard_mb=0.5))
    wire.send(b"POST /v2/models/mlp/infer HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n")
    assert wire.answer.headers["connection"] == "close"
    for _ in range(5):
        wire.send(b"x" * 100_000)
    assert not wire.transport.closing
    wire.send(b"x" * 100_000)
    assert wire.transport.was_aborted()


def test_a_client_that_does_not_close_after_its_last_answer_is_closed(wire: Wire) -> None:
    wire.ask(infer(headers="Connection: close\r\n"))
    wire.sweep(after_s=4.0)
    assert not wire.transport.was_aborted()
    wire.sweep(after_s=2.0)
    assert wire.transport.was_aborted()


def test_a_half_closed_connection_still_gets_its_answers() -> None:
    wire = holding()
    wire.send(infer("1") + infer("2"))
    assert wire.connection.eof_received() is True
    wire.predictions.release()
    assert [mean(answer) for answer in wire.answers] == [1, 2]
    assert wire.transport.closing
    assert not wire.transport.was_aborted()


def test_a_body_that_ends_early_is_never_a_request(wire: Wire) -> None:
    wire.send(infer()[:-5])
    assert wire.connection.eof_received() is False
    wire.connection.connection_lost(None)
    assert wire.predictions.accepted == []
    assert wire.edge.budget.used == 0


def test_a_chunked_body_without_its_end_is_never_a_request(wire: Wire) -> None:
    wire.send(b"POST /v2/models/mlp/infer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n")
    assert wire.connection.eof_received() is False
    assert wire.predictions.accepted == []
    assert wire.transport.writes == []


def test_callers_who_leave_are_not_waited_for_and_free_what_they_held() -> None:
    wire = holding()
    wire.send(infer("1") + infer("2"))
    wire.connection.connection_lost(ConnectionResetError())
    assert [request.waiting for request in wire.predictions.held] == [False, False]
    assert wire.edge.budget.used == 0
    assert not wire.edge.connections
    wire.predictions.release()
    assert wire.transport.writes == []


def test_a_batch_skips_the_caller_whose_transport_is_closing() -> None:
    wire = holding()
    transport, connection = wire.connect()
    wire.send(infer("1"))
    connection.data_received(infer("2"))
    wire.transport.closing = True
    wire.predictions.release()
    assert wire.transport.writes == []
    assert [mean(answer) for answer in responses(transport.written)] == [2]
    assert wire.edge.budget.used == 0


# --- stopping


def test_a_draining_worker_answers_what_is_there_and_closes() -> None:
    wire = holding()
    wire.send(infer("1") + infer("2"))
    wire.edge.draining = True
    wire.predictions.release()
    one, two = wire.answers
    assert "connection" not in one.headers
    assert two.headers["connection"] == "close"
    assert wire.transport.was_finished()


def test_an_idle_connection_of_a_draining_worker_may_ask_once_more(wire: Wire) -> None:
    wire.send(GET)
    wire.edge.draining = True
    assert not wire.transport.was_finished()
    assert wire.ask(infer()).headers["connection"] == "close"
    assert wire.transport.was_finished()


def test_a_request_that_is_arriving_while_the_worker_drains_is_answered(wire: Wire) -> None:
    wire.edge.draining = True
    wire.send(infer("1") + infer("2")[:-3])
    assert "connection" not in wire.answer.headers
    wire.send(infer("2")[-3:])
    assert wire.answers[1].headers["connection"] == "close"


# --- all connections of a worker


def test_at_the_bound_the_longest_idle_connection_makes_room() -> None:
    wire = Wire(limits=HttpLimits(max_connections=2))
    _, connection = wire.connect()
    wire.sweep(after_s=1.0)
    connection.data_received(GET)
    third, _ = wire.connect()
    assert wire.transport.was_finished()
    assert third.written == b""


def test_at_the_bound_a_newcomer_is_refused_where_all_are_busy() -> None:
    wire = holding(HttpLimits(max_connections=1))
    wire.send(infer("1"))
    newcomer, _ = wire.connect()
    (answer,) = responses(newcomer.written)
    assert answer.status == 503
    assert "max_connections" in answer.error
    assert newcomer.eof_written


def test_a_worker_without_room_refuses_before_it_reads_a_body(wire: Wire) -> None:
    wire.edge.budget.take(wire.edge.budget.capacity)
    wire.send(infer().split(b"\r\n\r\n")[0] + b"\r\n\r\n")
    assert wire.answer.status == 503
    assert "in_flight_mb" in wire.answer.error
    assert wire.answer.headers["retry-after"] == "1"


def test_rendering_is_shared_by_the_requests_of_a_batch() -> None:
    wire = holding()
    wire.send(infer("1") + infer("2"))
    first, second = wire.predictions.held
    answer = answer_of(first, (Tensor("mean", "FP32", (2, 1), b"\0\0\x80?\0\0\0@"),))
    first.reply(Answer(answer.outputs, 0, 1, whole=False, key=answer.key, variant="stable", queue_s=0, run_s=0))
    rendered = dict(answer.outputs.rendered)
    assert rendered
    second.reply(Answer(answer.outputs, 1, 2, whole=False, key=answer.key, variant="stable", queue_s=0, run_s=0))
    assert answer.outputs.rendered == rendered
    assert [mean(one) for one in wire.answers] == [1, 2]


def test_what_is_refused_at_its_head_is_counted_without_the_clients_words(wire: Wire) -> None:
    wire.send(infer(path="/nowhere"))
    wire.send(infer(headers="x-request-timeout-ms: soon\r\n"))
    assert wire.observer.refusals == [("", "unknown_path"), ("", "bad_request")]
