"""Requests as bytes, and whether their answers are right."""

from __future__ import annotations

import orjson
import pytest

from loadtests.payload.asks import asks
from loadtests.payload.encoding import as_binary
from loadtests.payload.entry import Entry, agrees
from loadtests.scenario.scenario import User
from serving.errors import ConfigInvalid

BODY = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1.0, 2.0]}]}


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ({"y": [0.5, 1], "id": "7"}, True),
        ({"y": [0.500001, 1]}, True),
        ({"y": [0.51, 1]}, False),
        ({"y": [0.5, 1.0000001]}, True),
        ({"y": [0.5]}, False),
        ({"z": [0.5, 1]}, False),
        ([], False),
    ],
)
def test_an_answer_agrees_where_it_has_all_that_is_known_within_rounding(answer: object, right: bool) -> None:
    assert agrees({"y": [0.5, 1.0]}, answer) is right
    assert agrees({"y": [0.5, 1]}, answer) is right


def test_an_answer_is_held_against_that_of_the_version_it_names() -> None:
    entry = Entry("/v2/m", BODY, {"1": {"y": 1.0}, "2": {"y": 2.0}})
    plain, compared = asks(User(name="u"), [entry], "h:1")
    head = b"HTTP/1.1 200 OK\r\nx-sluice-version: 2"
    assert compared[0].is_answered_by(head, b'{"y":2.0}')
    assert not compared[0].is_answered_by(head, b'{"y":1.0}')
    assert not compared[0].is_answered_by(head, b"no JSON")
    assert compared[0].is_answered_by(b"HTTP/1.1 200 OK\r\nx-sluice-version: 3", b'{"y":7.0}')
    assert plain[0].known.get(b"anything")


def test_what_one_version_may_answer_or_what_was_made_with_defaults_is_wrong_of_another() -> None:
    _, (ask,) = asks(User(name="u"), [Entry("/v1", {}, {"1": {"y": 1.0}, "2": {"y": 2.0}})], "h")
    first, second = (b"HTTP/1.1 200 OK\r\nX-Sluice-Version: %d" % version for version in (1, 2))
    degraded = first + b"\r\nx-sluice-degraded: store-away\r\nserver-timing: x"
    assert ask.is_answered_by(second, b'{"y":2.0}')
    assert ask.is_answered_by(degraded, b'{"y":7.0}')
    for body in (b'{"y":2.0}', b'{"y":7.0}'):
        # As the generator asks: what is known of a body is so of whoever says it.
        assert not ask.known.get(body, ask.is_answered_by(first, body))


@pytest.mark.parametrize("nothing", [[], {}, 0, "", None, False])
def test_an_answer_of_nothing_is_known_too(nothing: object) -> None:
    _, (ask,) = asks(User(name="u"), [Entry("/", {}, {"": {"y": nothing}})], "h")
    assert ask.is_answered_by(b"HTTP/1.1 200 OK", orjson.dumps({"y": nothing}))
    _, (bare,) = asks(User(name="u"), [Entry("/", {}, {"": nothing})], "h")
    assert not bare.is_answered_by(b"HTTP/1.1 200 OK\r\nx-sluice-version: 1", b'"another"')


def test_a_body_is_judged_once_and_only_so_many_are_remembered() -> None:
    _, (ask,) = asks(User(name="u"), [Entry("/", {}, {"": {"y": 1.0}})], "h")
    for number in range(100):
        assert ask.is_answered_by(b"HTTP/1.1 200", orjson.dumps({"y": 1.0, "id": number}))
    assert 0 < len(ask.known) < 100
    assert ask.known[b'{"y":1.0,"id":0}']


def test_a_request_has_its_path_its_headers_and_its_length() -> None:
    user = User(name="u", path="/other", headers={"x-sluice-key": "k"})
    (ask,), _ = asks(user, [Entry("/v2/m", {"a": 1})], "host:80")
    head, _, body = ask.request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /other HTTP/1.1\r\nhost: host:80\r\n")
    assert b"x-sluice-key: k" in head
    assert f"content-length: {len(body)}".encode() in head


def test_a_header_that_the_user_names_replaces_what_would_be_sent_but_never_the_length() -> None:
    user = User(name="u", headers={"Host": "other", "Content-Type": "text/x", "Content-Length": "1"})
    (ask,), _ = asks(user, [Entry("/v2/m", {"a": 1})], "host:80")
    head, _, body = ask.request.partition(b"\r\n\r\n")
    length = b"content-length: %d" % len(body)
    assert sorted(head.split(b"\r\n")[1:]) == [length, b"content-type: text/x", b"host: other"]


def test_binary_bodies_have_the_tensors_behind_the_json() -> None:
    headers, body = as_binary(BODY)
    length = int(headers["inference-header-content-length"])
    assert orjson.loads(body[:length])["inputs"][0]["parameters"] == {"binary_data_size": 8}
    assert body[length:] == bytes.fromhex("0000803f00000040")


def test_a_body_without_tensors_is_no_binary_one() -> None:
    with pytest.raises(ConfigInvalid, match="needs bodies with inputs"):
        as_binary({"instances": [1]})
