"""Bad input over a real socket: each is a 4xx that says what to change, and the next good request works."""

from __future__ import annotations

import pytest

from tests.e2e.bad_bodies import BODIES
from tests.e2e.bad_heads import HEADS
from tests.e2e.bad_request import DOUBLER, GOOD, GOOD_ANSWER, GOOD_BODY, Bad, raw
from tests.e2e.http_client import Connection, Reply
from tests.e2e.sluice_up import SluiceUp

BAD = (*BODIES, *HEADS)
HARMLESS = [bad for bad in BAD if not bad.closes]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_it_is_refused_with_what_to_change_and_the_next_request_works(gateway: SluiceUp, bad: Bad) -> None:
    with gateway.connect() as connection:
        connection.send(bad.sent)
        _refused(connection.read(), bad)
        if bad.closes:
            # What was taken for a further request is refused as well.
            assert all(400 <= reply.status < 500 for reply in connection.rest())
        else:
            _good(connection)
    with gateway.connect() as connection:
        _good(connection)


def test_bad_and_good_requests_in_one_read_are_answered_in_order(gateway: SluiceUp) -> None:
    small = [bad for bad in HARMLESS if len(bad.sent) < 5_000]
    assert len(small) > 80
    with gateway.connect() as connection:
        connection.send(b"".join([bad.sent + GOOD for bad in small]))
        for bad in small:
            _refused(connection.read(), bad)
            _answered(connection.read())


def test_a_body_that_ends_early_is_never_a_request(gateway: SluiceUp) -> None:
    longer = f"content-length: {len(GOOD_BODY) + 1}"
    with gateway.connect() as connection:
        connection.send(raw(f"POST {DOUBLER} HTTP/1.1", "host: a", longer, body=GOOD_BODY))
        connection.half_close()
        assert [reply.status for reply in connection.rest() if reply.status < 400] == []
    with gateway.connect() as connection:
        connection.send(raw(f"POST {DOUBLER} HTTP/1.1", "host: a", "transfer-encoding: chunked", body=b'5\r\n{"in'))
        connection.half_close()
        assert [reply.status for reply in connection.rest() if reply.status < 400] == []


def test_a_bad_request_does_not_touch_those_beside_it(gateway: SluiceUp) -> None:
    with gateway.connect() as good, gateway.connect() as other:
        for bad in HARMLESS:
            good.send(GOOD[:-10])
            other.send(bad.sent)
            _refused(other.read(), bad)
            good.send(GOOD[-10:])
            _answered(good.read())


def _refused(reply: Reply, bad: Bad) -> None:
    assert reply.status == bad.status, reply
    assert reply.headers["content-type"] == "application/json"
    missing = [piece for piece in bad.says if piece not in reply.error]
    assert not missing, f"{missing} not in {reply.error!r}"
    assert len(reply.error) > 20


def _good(connection: Connection) -> None:
    connection.send(GOOD)
    _answered(connection.read())


def _answered(reply: Reply) -> None:
    assert reply.status == 200, reply
    assert reply.json()["outputs"][0]["data"] == GOOD_ANSWER
