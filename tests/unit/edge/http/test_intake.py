"""Bytes to requests: every way to cut them gives the same ones, and every bound holds."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.edge.http.answers import Refusal
from serving.edge.http.edge import Edge
from serving.edge.http.intake import Intake, Stage
from serving.edge.http.limits import HttpLimits
from serving.edge.http.request_head import RequestHead
from serving.edge.http.routes import Asks
from serving.errors import Overloaded
from serving.inference import Buffer, CallerContext
from serving.testing.predictions import FakePredictions, RecordingObserver
from tests.unit.edge.http.wire import infer, post

GET = b"GET /v2 HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = (
    b"POST /v2/models/mlp/infer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nTrailer: x\r\n\r\n"
)


class Taken:
    """What an intake delivered."""

    def __init__(self, limits: HttpLimits | None = None) -> None:
        self.predictions = FakePredictions()
        self.observer = RecordingObserver()
        self.edge = Edge(self.predictions, limits or HttpLimits(), self.observer, lambda: 0.0, "0")
        self.intake = Intake(self.edge, self)
        self.messages: list[tuple[RequestHead, Buffer]] = []
        self.refusals: list[Refusal] = []
        self.leaves = 0
        self.ends = 0

    def arrived(self, head: RequestHead, body: Buffer) -> None:
        self.messages.append((head, body))

    def refused(self, head: RequestHead, refusal: Refusal) -> None:
        self.refusals.append(refusal)

    def wants_continue(self) -> None:
        self.leaves += 1

    def ended(self) -> None:
        self.ends += 1

    @property
    def bodies(self) -> list[Buffer]:
        return [body for _, body in self.messages]

    @property
    def statuses(self) -> list[int]:
        return [refusal.status for refusal in self.refusals]


STREAM = [
    post("one"),
    post("two"),
    post("the third is longer"),
    post(""),
    GET,
    post("two"),
    CHUNKED,
    post(""),
    post("six"),
    post("six"),
]
BODIES = [b"one", b"two", b"the third is longer", b"", b"", b"two", b"abcde", b"", b"six", b"six"]


@given(st.lists(st.integers(0, sum(map(len, STREAM))), max_size=8))
def test_requests_are_the_same_however_the_bytes_are_cut(cuts: list[int]) -> None:
    taken = Taken()
    whole = b"".join(STREAM)
    edges = [0, *sorted(cuts), len(whole)]
    for start, stop in pairwise(edges):
        if start < stop:
            taken.intake.feed(whole[start:stop])
    assert taken.bodies == BODIES
    assert taken.refusals == []
    assert taken.intake.stage is Stage.BETWEEN
    assert taken.edge.budget.used == sum(map(len, BODIES))


def test_a_repeated_head_is_understood_as_the_first_time() -> None:
    taken = Taken()
    request = infer("1,2,3", headers="x-sluice-key: k\r\n")
    for _ in range(3):
        taken.intake.feed(request)
    taken.intake.feed(request * 3 + request[:-5])
    taken.intake.feed(request[-5:])
    assert len({head for head, _ in taken.messages}) == 1
    assert len({bytes(body) for body in taken.bodies}) == 1
    assert len(taken.messages) == 7
    assert taken.messages[0][0].key == b"k"


def test_a_different_head_of_the_same_length_is_not_taken_for_the_previous_one() -> None:
    taken = Taken()
    for key in ("a", "b", "a"):
        taken.intake.feed(infer(headers=f"x-sluice-key: {key}\r\n"))
    assert [head.key for head, _ in taken.messages] == [b"a", b"b", b"a"]


def test_a_repeated_head_is_asked_anew_whether_there_is_room() -> None:
    taken = Taken()
    taken.intake.feed(infer())
    taken.predictions.refusals["mlp"] = Overloaded("full")
    taken.intake.feed(infer())
    taken.predictions.refusals.clear()
    taken.intake.feed(infer())
    assert taken.statuses == [503]
    assert len(taken.messages) == 2
    taken.edge.budget.take(taken.edge.budget.capacity)
    taken.intake.feed(infer())
    assert taken.statuses == [503, 503]


@pytest.mark.parametrize("length", [b"+3", b"-3", b"3.0", b"0x3", b"", b"99999999999999999999", b"3, 3"])
def test_a_repeated_head_with_a_broken_length_is_refused(length: bytes) -> None:
    taken = Taken()
    request = post("abc")
    taken.intake.feed(request)
    taken.intake.feed(request.replace(b"Length: 3", b"Length: " + length))
    assert taken.bodies == [b"abc"]
    assert taken.statuses == [400]


def test_a_repeated_head_with_too_long_a_body_is_refused() -> None:
    taken = Taken(HttpLimits(max_json_mb=0.001))
    taken.intake.feed(post("abc") + post("abc") + post("x" * 2000) + post("abc"))
    assert taken.bodies == [b"abc"] * 3
    assert taken.statuses == [413]


def test_a_repeated_head_that_goes_on_differently_is_parsed() -> None:
    taken = Taken()
    request = b"POST /v2/models/mlp/infer HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nX-Sluice-Key: %b\r\n\r\nz"
    for key in (b"k", b"k", b"other"):
        taken.intake.feed(request % key)
    assert [head.key for head, _ in taken.messages] == [b"k", b"k", b"other"]


def test_an_empty_line_before_a_request_is_ignored() -> None:
    taken = Taken()
    for _ in range(3):
        taken.intake.feed(b"\r\n" + post("one"))
    assert taken.bodies == [b"one"] * 3


def test_a_head_of_more_bytes_than_allowed_is_refused_whole_or_in_pieces() -> None:
    long = b"GET /v2 HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 40_000
    for pieces in ([long + b"\r\n\r\n"], [long], [long[i : i + 1000] for i in range(0, len(long), 1000)]):
        taken = Taken()
        for piece in pieces:
            taken.intake.feed(piece)
        assert taken.statuses == [431]
        assert taken.refusals[0].last
        assert taken.intake.stage is Stage.DEAF


def test_a_request_target_without_end_is_refused() -> None:
    taken = Taken()
    taken.intake.feed(b"GET /")
    for _ in range(40):
        taken.intake.feed(b"x" * 1000)
    assert taken.statuses == [431]


def test_a_head_that_begins_after_a_large_body_is_not_charged_for_it() -> None:
    taken = Taken()
    big = post("x" * 100_000)
    taken.intake.feed(big[:50_000])
    taken.intake.feed(big[50_000:] + GET[:10])
    taken.intake.feed(GET[10:])
    assert taken.refusals == []
    assert len(taken.messages) == 2


def test_more_headers_than_allowed_are_refused() -> None:
    taken = Taken(HttpLimits(max_headers=10))
    taken.intake.feed(b"GET /v2 HTTP/1.1\r\nHost: a\r\n" + b"a: b\r\n" * 9 + b"\r\n")
    assert len(taken.messages) == 1
    taken.intake.feed(b"GET /v2 HTTP/1.1\r\nHost: a\r\n" + b"a: b\r\n" * 10 + b"\r\n")
    assert taken.statuses == [431]


@pytest.mark.parametrize("trailer", [b"a: b\r\n" * 200, b"a: " + b"b" * 100_000])
def test_trailers_without_end_are_refused(trailer: bytes) -> None:
    taken = Taken()
    taken.intake.feed(CHUNKED[: -len(b"Trailer: x\r\n\r\n")])
    for start in range(0, len(trailer), 5000):
        taken.intake.feed(trailer[start : start + 5000])
    assert taken.statuses == [431]
    assert taken.messages == []
    assert taken.edge.budget.used == 0


def test_a_chunked_body_over_the_bound_is_refused_while_it_arrives() -> None:
    taken = Taken(HttpLimits(max_json_mb=0.01))
    taken.intake.feed(b"POST /v2/models/mlp/infer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(20):
        taken.intake.feed(b"3e8\r\n" + b"x" * 1000 + b"\r\n")
    assert taken.statuses == [413]
    assert taken.edge.budget.used == 0
    taken.intake.feed(b"0\r\n\r\n" + GET)
    assert [head.target.asks for head, _ in taken.messages] == [Asks.SERVER]


def test_no_more_than_the_bound_is_ever_dropped() -> None:
    taken = Taken(HttpLimits(max_json_mb=0.01, max_discard_mb=0.02))
    taken.intake.feed(b"POST /v2/models/mlp/infer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(30):
        taken.intake.feed(b"3e8\r\n" + b"x" * 1000 + b"\r\n")
    assert taken.statuses == [413]
    assert taken.ends == 1
    assert taken.intake.stage is Stage.DEAF


def test_bytes_of_a_body_count_as_they_arrive_and_are_refused_when_there_is_no_room() -> None:
    taken = Taken(HttpLimits(in_flight_mb=0.01))
    taken.intake.feed(post("x" * 9000)[:5000])
    assert 4000 < taken.edge.budget.used < 5000
    other = Intake(taken.edge, taken)
    other.feed(post("x" * 9000)[:2000])
    assert taken.statuses == [503]
    assert taken.observer.refusals == [("", "overloaded")]


def test_a_refused_model_is_answered_at_the_end_of_the_head() -> None:
    taken = Taken()
    taken.predictions.refusals["mlp"] = Overloaded("the queue of mlp is full")
    request = post("x" * 5000)
    taken.intake.feed(request[:200])
    assert taken.statuses == [503]
    taken.intake.feed(request[200:])
    assert taken.messages == []
    assert taken.edge.budget.used == 0
    assert taken.observer.refusals == [("mlp", "overloaded")]
    taken.intake.feed(GET)
    assert len(taken.messages) == 1


def test_leave_to_send_is_asked_for_only_where_a_body_is_to_come() -> None:
    taken = Taken()
    taken.intake.feed(post("abc", headers="Expect: 100-continue\r\n")[:-3])
    assert taken.leaves == 1
    taken.intake.feed(b"abc")
    assert taken.bodies == [b"abc"]
    taken.predictions.refusals["mlp"] = Overloaded("full")
    taken.intake.feed(post("abc", headers="Expect: 100-continue\r\n")[:-3])
    assert taken.leaves == 1
    assert taken.refusals[0].last


@pytest.mark.parametrize(
    "junk",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"HELO example.com\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\nHost: a\n\n",
        b"GET /v2 HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
        b"POST /v2/models/mlp/infer HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v2/models/mlp/infer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\nz\r\n",
        b"POST /v2/models/mlp/infer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n",
    ],
)
def test_bytes_that_are_no_http_are_refused_and_nothing_after_them_is_read(junk: bytes) -> None:
    taken = Taken()
    taken.intake.feed(junk)
    taken.intake.feed(GET)
    assert taken.statuses == [400]
    assert taken.refusals[0].last
    assert taken.messages == []
    assert taken.intake.stage is Stage.DEAF


def test_a_tunnel_is_refused() -> None:
    taken = Taken()
    taken.intake.feed(b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n" + GET)
    assert taken.statuses == [405]
    assert taken.messages == []
    assert taken.intake.stage is Stage.DEAF


OFFER = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
REQUESTS = (
    CHUNKED,
    GET,
    post("two"),
    post("one", headers=OFFER),
    GET.replace(b"\r\n\r\n", f"\r\n{OFFER}\r\n".encode()),
    CHUNKED.replace(b"Host: a\r\n", f"Host: a\r\n{OFFER}".encode()),
    post(GET, headers=OFFER),
    post(b"x" * 300_000, headers=OFFER),
)


@given(st.lists(st.integers(0, len(REQUESTS) - 1), max_size=6), st.lists(st.integers(0, 2000)))
def test_an_offer_of_another_protocol_is_ignored_wherever_it_stands(chosen: list[int], cuts: list[int]) -> None:
    plain, offering = Taken(), Taken()
    stream = b"".join([REQUESTS[number] for number in chosen])
    plain.intake.feed(stream.replace(OFFER.encode(), b""))
    bounds = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    for start, end in pairwise(bounds):
        offering.intake.feed(stream[start:end])
    assert [bytes(body) for body in offering.bodies] == [bytes(body) for body in plain.bodies]
    assert (offering.refusals, offering.ends) == ([], 0)
    assert offering.intake.stage is Stage.BETWEEN


def test_nothing_after_the_clients_last_request_is_read() -> None:
    taken = Taken()
    taken.intake.feed(post("one", headers="Connection: close\r\n") + GET)
    taken.intake.feed(GET)
    assert taken.bodies == [b"one"]
    assert taken.refusals == []


def test_the_body_of_a_request_that_wants_none_is_dropped() -> None:
    taken = Taken()
    taken.intake.feed(b"GET /v2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" * 2)
    assert taken.bodies == [b"", b""]
    assert taken.edge.budget.used == 0


@pytest.mark.parametrize("extra", [0, 1, 2])
def test_a_repeated_head_may_be_cut_within_the_digits_of_its_length(extra: int) -> None:
    taken = Taken()
    message = post("x" * 300)
    taken.intake.feed(message)
    cut = message.index(b"300") + extra
    taken.intake.feed(message[:cut])
    taken.intake.feed(message[cut:])
    assert taken.bodies == [b"x" * 300] * 2


@pytest.mark.parametrize(
    "asked",
    [
        b"GET /nothing HTTP/1.1\r\nHost: a\r\n%b\r\n",
        b"PUT /v2/models/mlp/infer HTTP/1.1\r\nHost: a\r\n%bContent-Length: 2\r\n\r\n{}",
        b"POST /v2/models/mlp/infer HTTP/1.1\r\nHost: a\r\n%bContent-Length: 99999999\r\n\r\n{}",
        b"POST /v2/models/mlp/infer HTTP/1.1\r\nHost: a b\r\n%b\r\n",
        b"POST /v2/models/full/infer HTTP/1.1\r\nHost: a\r\n%bContent-Length: 2\r\n\r\n{}",
    ],
    ids=["no path", "another method", "too large", "a bad head", "a full queue"],
)
def test_what_is_refused_by_its_head_is_told_with_its_callers_names(asked: bytes) -> None:
    taken = Taken()
    taken.predictions.refusals["full"] = Overloaded("full")
    trace = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    taken.intake.feed(asked % b"traceparent: %b\r\nx-request-id: r-17\r\n" % trace)
    assert len(taken.observer.refusals) == 1
    assert taken.observer.contexts == [CallerContext(trace, b"", b"r-17")]
