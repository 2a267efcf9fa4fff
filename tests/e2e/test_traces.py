"""A caller's trace goes on through the gateway and a replica of Ray, and is read back from a receiver of OTLP."""

from __future__ import annotations

import re
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import numpy as np
import pytest

from deployments.flights import sample
from serving.protocol.open_inference import ModelInferRequest
from tests.e2e.grpc_client import infer_on, raw_request
from tests.e2e.http_client import Reply
from tests.e2e.scrape import told
from tests.e2e.sluice_up import SluiceUp
from tests.integration.trace_receiver import Received, Receiver, receiving
from tests.integration.valkey_server import Server

FLIGHT: Mapping[str, Any] = sample.load_test_flights().flights[0].instance()
PARENT = "00f067aa0ba902b7"
STAGES = {
    "predict flight-delay": PARENT,
    "decode": "predict flight-delay",
    "features": "predict flight-delay",
    "queue": "predict flight-delay",
    "encode": "predict flight-delay",
    "batch": "predict flight-delay",
    "hop": "batch",
    "run": "hop",
}


# What is planted, and must be found in no log.
SECRETS = {
    "redis": "planted-redis-password",
    "receiver": "planted-receiver-key",
    "bearer": "planted-bearer-token",
    "entity": "planted-tailnum",
    "text": "planted-unknown-field",
    "value": "8642.9753",
}


class Traced(NamedTuple):
    """A session of the flights on Ray, and where its spans go."""

    session: SluiceUp
    receiver: Receiver

    def predict(self, trace_id: str, flags: str = "01", path: str = "/v1/models/flight-delay:predict") -> Reply:
        headers = {"traceparent": f"00-{trace_id}-{PARENT}-{flags}", "tracestate": "vendor=1", "x-request-id": "r-17"}
        with self.session.connect() as connection:
            return connection.post(path, {"instances": [FLIGHT]}, headers)


@pytest.fixture(scope="module")
def traced() -> Iterator[Traced]:
    # Short, since a unix socket lives in it.
    home = Path(tempfile.mkdtemp(prefix="traced-"))
    store = Server(home)
    store.start()
    store.client().config_set("requirepass", SECRETS["redis"])
    (home / "headers").write_text(f"api-key: {SECRETS['receiver']}\n")
    with receiving() as receiver:
        settings = {
            "SLUICE_TRACING__ENDPOINT": receiver.url,
            "SLUICE_TRACING__HEADERS_FILE": str(home / "headers"),
            "SLUICE_STATE__FEATURES_URL": f"{store.url}?password={SECRETS['redis']}",
            "SLUICE_LOGS__LEVELS": "{serving: debug}",
            "SLUICE_LOGS__ACCESS_SAMPLE": "1",
            "SLUICE_TRACING__SAMPLE": "0",
            "SLUICE_POOLS__DEFAULT__MAX_REPLICAS": "1",
            "SLUICE_POOLS__DEFAULT__NUM_CPUS": "0.5",
        }
        where = ("--models", str(sample.MODELS), "--config", str(sample.CONFIGURATION))
        session = SluiceUp(*where, engine="ray", **settings)
        try:
            yield Traced(session.wait_until_ready(), receiver)
            session.close()
        finally:
            session.destroy()
            store.close()
            shutil.rmtree(home)


def test_it_shows_each_stage_under_its_caller_and_the_run_in_the_replica(traced: Traced) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    reply = traced.predict(trace_id)
    assert reply.status == 200, reply
    assert reply.headers["traceparent"] == f"00-{trace_id}-{PARENT}-01"
    assert reply.headers["tracestate"] == "vendor=1"
    spans = traced.receiver.trace(trace_id, lambda found: len(found) >= len(STAGES))
    _is_whole(spans)
    by_name = {span.name: span for span in spans}
    gateway, run = by_name["predict flight-delay"], by_name["run"]
    assert (gateway.service, run.service) == ("sluice-gateway", "sluice-pool")
    assert run.instance == by_name["hop"].attributes["sluice.replica"] != gateway.instance
    assert gateway.attributes["sluice.request_id"] == "r-17"
    assert gateway.state == "vendor=1"
    # The tailnum and what else was asked is nobody's concern.
    assert FLIGHT["tailnum"] not in str(spans)


def test_a_call_over_grpc_is_traced_as_well(traced: Traced) -> None:
    trace_id = "a" * 32
    with grpc.insecure_channel(f"127.0.0.1:{traced.session.grpc_port}") as channel:
        metadata = (("traceparent", f"00-{trace_id}-{PARENT}-01"), ("tracestate", "vendor=1"))
        _, call = infer_on(channel).with_call(_finished_row(), metadata=metadata, timeout=20)
    assert dict(call.initial_metadata())["tracestate"] == "vendor=1"
    spans = traced.receiver.trace(trace_id, lambda found: len(found) >= len(STAGES) - 1)
    _is_whole(spans, without="features")


def test_what_the_caller_does_not_trace_is_traced_where_it_fails(traced: Traced) -> None:
    unwanted, failed = "b" * 32, "c" * 32
    assert traced.predict(unwanted, "00").status == 200
    headers = {"traceparent": f"00-{failed}-{PARENT}-00", "x-request-timeout-ms": "0.001"}
    with traced.session.connect() as connection:
        # One that is turned away at its head, while the gateway is busy, is no request yet.
        asked = ("/v1/models/flight-delay:predict", {"instances": [FLIGHT]}, headers)
        assert 504 in (connection.post(*asked).status for _ in range(50))
    (span,) = [one for one in traced.receiver.trace(failed, bool) if one.parent == PARENT]
    assert span.failed
    assert (span.attributes["sluice.traced"], span.attributes["sluice.outcome"]) == ("failed", "deadline_exceeded")
    assert not [one for one in traced.receiver.spans if one.trace_id == unwanted]


def test_the_histogram_of_latency_names_a_trace(traced: Traced) -> None:
    trace_id = "d" * 32
    assert traced.predict(trace_id).status == 200
    scrape = told(traced.session)
    assert scrape.total("sluice_traces_total", why="sampled") >= 1
    address = f"http://127.0.0.1:{traced.session.metrics_port}/metrics"
    asked = urllib.request.Request(address, headers={"accept": "application/openmetrics-text"})
    with urllib.request.urlopen(asked, timeout=10) as page:
        found = re.findall(r'stage="total".* # \{trace_id="([0-9a-f]{32})"\}', page.read().decode())
    assert trace_id in found


def test_no_log_holds_a_secret_an_entity_or_a_value(traced: Traced) -> None:
    session = traced.session
    flight = {**FLIGHT, "tailnum": SECRETS["entity"], "distance": float(SECRETS["value"])}
    headers = {"authorization": f"Bearer {SECRETS['bearer']}", "x-request-id": "r-of-secrets"}
    path = "/v1/models/flight-delay:predict"
    with session.connect() as connection:
        assert connection.post(path, {"instances": [flight]}, headers).status == 200
        unknown = {**flight, SECRETS["text"]: SECRETS["text"]}
        assert connection.post(path, {"instances": [unknown]}, headers).status == 400
        assert connection.post(path, {"instances": [{**flight, "hour": SECRETS["text"]}]}, headers).status == 400
        assert connection.post(f"/v2/models/{SECRETS['text']}/infer", {}, headers).status == 404
        assert connection.request("POST", path, b'{"instances": [{"' + SECRETS["text"].encode(), headers).status == 400
        assert connection.post("/v2/repository/models/flight-delay/unload", {}, headers).status >= 400
    _refused_over_grpc(session)
    request = urllib.request.Request(
        f"http://127.0.0.1:{session.registered()['control_port']}/api/v1/models/flight-delay:load?version=1",
        method="POST",
        headers=headers,
    )
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(request, timeout=20)
    session.wait_for_log("r-of-secrets")
    control_token = Path(str(session.registered()["token_file"])).read_text().strip()
    files = [path for path in session.folder.rglob("*") if path.is_file() and "log" in str(path)]
    logs = {path: path.read_text(errors="replace") for path in files}
    assert "level=debug" in logs[session.folder / "log"]
    assert {path.name for path in logs} >= {"log", "control.log", "engine.log"}
    for name, secret in {**SECRETS, "control": control_token}.items():
        assert not [path for path, text in logs.items() if secret in text], name
    # What gateways and replicas prove to each other has this form.
    assert not [path for path, text in logs.items() if re.search(r"\b[0-9a-f]{64}\b", text)]
    assert traced.receiver.headers["api-key"] == SECRETS["receiver"]


def test_nobody_waits_for_a_receiver_that_refuses_or_is_away(traced: Traced) -> None:
    traced.receiver.status = 503
    try:
        assert traced.predict("e" * 32).status == 200
        traced.session.wait_for_log("takes no spans")
        assert traced.predict("f" * 32).status == 200
    finally:
        traced.receiver.status = 200
    # Neither was lost, as the receiver came back in time.
    for trace_id in ("e" * 32, "f" * 32):
        traced.receiver.trace(trace_id, lambda found: len(found) >= len(STAGES), within_s=40)
    assert traced.session.log().count("takes no spans") == 1


def _refused_over_grpc(session: SluiceUp) -> None:
    """The same words as names of a model and of an input, and as a key."""
    metadata = (("authorization", f"Bearer {SECRETS['bearer']}"),)
    row = np.full((1, 20), float(SECRETS["value"]), np.float32)
    with grpc.insecure_channel(f"127.0.0.1:{session.grpc_port}") as channel:
        for model, name in ((SECRETS["text"], "input"), ("flight-delay", SECRETS["text"])):
            with pytest.raises(grpc.RpcError):
                infer_on(channel)(raw_request(model, {name: row}), metadata=metadata, timeout=20)


def _finished_row() -> ModelInferRequest:
    return raw_request("flight-delay", {"input": np.zeros((1, 20), np.float32)})


def _is_whole(spans: list[Received], without: str = "") -> None:
    """Each stage once (`wait` where the replica was not free at once), under its parent and within its time."""
    by_id = {span.span_id: span for span in spans}
    found = {
        span.name: by_id[span.parent].name if span.parent in by_id else span.parent
        for span in spans
        if span.name != "wait"
    }
    assert found == {name: parent for name, parent in STAGES.items() if name != without}
    assert len(by_id) - len([span for span in spans if span.name == "wait"]) == len(found)
    for span in spans:
        assert span.start <= span.end
        if span.parent in by_id:
            assert by_id[span.parent].start <= span.start
            assert span.end <= by_id[span.parent].end
