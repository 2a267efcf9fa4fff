"""32 clients of mixed kinds at once, a tenth leaving early: each answer that remains is that to its own question."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping

import numpy as np

from tests.e2e.callers import at_once
from tests.e2e.clients.drivers.samples import several
from tests.e2e.clients.environments import environment
from tests.e2e.doubling import LONG
from tests.e2e.http_client import Reply, request_bytes
from tests.e2e.scrape import told
from tests.e2e.sluice_up import ROOT, SluiceUp
from tests.e2e.sluice_up import environment as variables
from tests.e2e.tensors import Array, infer_document, outputs_of

EACH = 2000 if LONG else 60
PLAIN = 12
DEPTH = 4
_WITHIN_S = 110.0


def test_every_remaining_answer_is_that_to_its_own_question(gateway: SluiceUp) -> None:
    python = environment("mlserver") / "bin" / "python"
    addresses = [f"127.0.0.1:{gateway.port}", f"127.0.0.1:{gateway.grpc_port}"]
    with subprocess.Popen(
        [python, "-m", "tests.e2e.clients.drivers.crowd", str(EACH), *addresses],
        cwd=ROOT,
        env=variables(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as crowd:
        assert crowd.stdout is not None
        assert crowd.stdout.readline() == "ready\n"
        assert crowd.stdin is not None
        crowd.stdin.write("go\n")
        crowd.stdin.flush()
        left = sum(at_once(gateway, PLAIN, lambda number, _: _plain(gateway, number)))
        said, _ = crowd.communicate(timeout=_WITHIN_S)
    assert crowd.returncode == 0
    told = json.loads(said)
    assert not told["wrong"], told["wrong"][:5]
    assert told["left"] > EACH // 4, "hardly anybody left early"
    assert told["answered"] > 10 * told["left"] / 3
    assert left > PLAIN
    _nothing_is_left(gateway)


def _plain(session: SluiceUp, number: int) -> int:
    """One client of raw bytes and JSON: pipelined requests, and some connections closed before their answers."""
    random = np.random.default_rng([number, 7])
    left = 0
    for _ in range(EACH // DEPTH):
        connection = session.connect()
        asked = [several(int(random.integers(1, 4)), int(random.integers(2**32))) for _ in range(DEPTH)]
        connection.send(b"".join([_request(inputs, random) for inputs in asked]))
        if random.random() < 0.1:
            left += 1
            connection.abort()
            continue
        for inputs in asked:
            _right(connection.read(), inputs)
        connection.close()
    return left


def _request(inputs: Mapping[str, Array], random: np.random.Generator) -> bytes:
    body = json.dumps(infer_document(inputs)).encode()
    if random.random() < 0.5:
        return request_bytes("POST", "/v2/models/several/infer", body)
    # In pieces, as clients do that do not know how long their body will be.
    cut = int(random.integers(1, len(body)))
    pieces = b"".join([b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (body[:cut], body[cut:])])
    head = b"POST /v2/models/several/infer HTTP/1.1\r\nhost: here\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + pieces + b"0\r\n\r\n"


def _right(reply: Reply, inputs: Mapping[str, Array]) -> None:
    answer = outputs_of(reply)
    expected = inputs["a"].astype(np.float64).sum(1) + inputs["b"].sum(1)
    np.testing.assert_allclose(answer["sum"], expected, rtol=1e-12)
    assert answer["kept"].tolist() == (~inputs["keep"]).tolist()
    assert answer["next"].tolist() == (inputs["i"] + np.int32(1)).tolist()


def _nothing_is_left(session: SluiceUp) -> None:
    """Whoever left took with them what was held for them."""
    scrape = told(session)
    assert scrape.total("sluice_inflight_bytes") == 0
    assert scrape.total("sluice_queue_rows") == 0
