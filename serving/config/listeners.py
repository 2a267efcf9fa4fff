"""The sections that say where Sluice listens, and what it grants to clients."""

from __future__ import annotations

from typing import Literal

from serving.batching.row_queue import TotalRows
from serving.config.section import Host, Megabytes, Port, Seconds, Section, noted
from serving.edge.grpc.limits import GrpcLimits
from serving.edge.http.limits import HttpLimits

_LIMITS = HttpLimits()
_GRPC = GrpcLimits()


class HttpSection(Section):
    """Predictions over HTTP, and the bounds of one worker."""

    host: Host = noted("Address to listen on; 0.0.0.0 is every address of the machine.", "127.0.0.1")
    port: Port = noted("Port of predictions; 0 takes any free one.", 8080)
    workers: int = noted("Gateway processes that share the port.", 1, ge=1, le=256)
    look_us: int = noted(
        "Microseconds for which a worker looks for outputs of replicas, for rows of features, and for the next request "
        "of a lone caller of a replica before it sleeps, where the last ones came within four times that; 0 sleeps at "
        "once.",
        200,
        ge=0,
        le=10_000,
    )
    max_body_mb: Megabytes = noted("Largest body of a request.", _LIMITS.max_body_mb)
    max_json_mb: Megabytes = noted(
        "Largest body that is JSON, and largest JSON part of a body with binary tensors.", _LIMITS.max_json_mb
    )
    inline_json_mb: Megabytes = noted(
        "JSON over this size (by entity over 256 KiB) is decoded in another process, so that it holds up nobody.",
        _LIMITS.inline_json_mb,
    )
    compress_min_kb: float = noted(
        "Answers from this size on are compressed where the client takes gzip or deflate.",
        _LIMITS.compress_min_kb,
        gt=0,
        le=1 << 20,
    )
    max_tensors: int = noted("Most inputs, and most outputs named, of a request.", _LIMITS.max_tensors, ge=1, le=10_000)
    max_rank: int = noted("Most dimensions of a tensor.", _LIMITS.max_rank, ge=1, le=64)
    max_elements: int = noted("Most elements of a tensor.", _LIMITS.max_elements, ge=1, le=1 << 32)
    max_strings: int = noted("Most elements of a BYTES tensor.", _LIMITS.max_strings, ge=1, le=1 << 28)
    max_string_bytes: int = noted("Most bytes of one BYTES element.", _LIMITS.max_string_bytes, ge=1, le=1 << 31)
    max_head_bytes: int = noted("Largest request line and headers.", _LIMITS.max_head_bytes, ge=1_024, le=1 << 20)
    max_headers: int = noted("Most headers of a request.", _LIMITS.max_headers, ge=8, le=10_000)
    max_url_bytes: int = noted("Longest path and query of a request.", _LIMITS.max_url_bytes, ge=256, le=1 << 20)
    max_pipelined: int = noted("Most requests in flight on one connection.", _LIMITS.max_pipelined, ge=1, le=10_000)
    max_connections: int = noted("Most connections of one worker.", _LIMITS.max_connections, ge=1, le=1_000_000)
    max_requests: int = noted(
        "Most predictions in flight of one worker; beyond it they are answered 503 before their bodies are read.",
        _LIMITS.max_requests,
        ge=1,
        le=10_000_000,
    )
    max_queued_rows: int = noted(
        "Most rows that wait for a batch in one worker, of all models together; beyond it requests are answered 503, "
        "gRPC's too. At most half of them are of low priority. Of one model: `models.<name>.batching.queue_rows`.",
        TotalRows().most,
        ge=1,
        le=100_000_000,
    )
    in_flight_mb: Megabytes = noted(
        "Bytes of requests and answers that one worker holds; beyond it requests are answered 503.",
        _LIMITS.in_flight_mb,
    )
    head_s: Seconds = noted("A request line and its headers must arrive within this time.", _LIMITS.head_s)
    body_s: Seconds = noted("A body must begin to arrive within this time.", _LIMITS.body_s)
    min_body_kb_s: float = noted(
        "Slowest body that is waited for, in kB a second.", _LIMITS.min_body_kb_s, gt=0, le=1 << 20
    )
    idle_s: Seconds = noted("An idle connection is closed after this time.", _LIMITS.idle_s)
    write_stall_s: Seconds = noted("A client that reads nothing is left after this time.", _LIMITS.write_stall_s)
    min_read_kb_s: float = noted(
        "Slowest reading of an answer that is waited for, in kB a second, after `write_stall_s`.",
        _LIMITS.min_read_kb_s,
        gt=0,
        le=1 << 20,
    )
    repository_api: Literal["off", "token"] = noted(
        "token: models are loaded and unloaded (`/v2/repository`), and the log is changed, on this port too, by who "
        "sends the token of the control API (`control.token_file`); off: nobody changes anything here.",
        "off",
    )
    return_features: Literal["off", "token"] = noted(
        "token: who sends the token of the control API may ask with `parameters.return_features` for the row that a "
        "prediction was made of; off: stored values of entities leave this port for nobody.",
        "off",
    )
    drain_grace_s: Seconds = noted("When stopping, requests in flight are waited for this long.", 8.0)


class GrpcSection(Section):
    """Predictions over gRPC, and the bounds of one worker; bounds on tensors are those of `http`."""

    host: Host = noted("Address to listen on; 0.0.0.0 is every address of the machine.", "127.0.0.1")
    port: Port | None = noted("Port of predictions over gRPC; 0 takes any free one, null serves none.", 8081)
    max_message_mb: Megabytes = noted("Largest message of a call.", _GRPC.max_message_mb, le=1_024)
    max_inflated_mb: Megabytes = noted(
        "Largest message that comes compressed, inflated.",
        _GRPC.max_inflated_mb,
        le=1_024,
    )
    max_concurrent_streams: int = noted(
        "Most calls in flight on one connection; clients keep what is beyond it to themselves.",
        _GRPC.max_concurrent_streams,
        ge=1,
        le=10_000,
    )
    max_stream_in_flight: int = noted(
        "Most requests in flight on one ModelStreamInfer; beyond it the client is held up.",
        _GRPC.max_stream_in_flight,
        ge=1,
        le=10_000,
    )
    max_resets_per_s: int = noted(
        "Calls that the client of one connection may cancel in a second, and ten times as many at once; beyond it the "
        "connection ends.",
        _GRPC.max_resets_per_s,
        ge=1,
        le=1_000_000,
    )
    max_head_bytes: int = noted("Most metadata of a call.", _GRPC.max_head_bytes, ge=1_024, le=1 << 20)
    max_headers: int = noted("Most pieces of metadata of a call.", _GRPC.max_headers, ge=16, le=10_000)
    max_connections: int = noted("Most connections of one worker.", _GRPC.max_connections, ge=1, le=1_000_000)
    head_s: Seconds = noted(
        "A connection must begin to speak HTTP/2 within this time, and end within it what it has begun of a call's "
        "metadata.",
        _GRPC.head_s,
    )
    body_s: Seconds = noted("A message must arrive within this time.", _GRPC.body_s)
    min_body_kb_s: float = noted(
        "A large message has a second more for every so many kB.", _GRPC.min_body_kb_s, gt=0, le=1 << 20
    )
    idle_s: Seconds = noted("A connection without calls is closed after this time; clients open a new one.", 600.0)
    max_age_s: Seconds | None = noted(
        "A connection takes no more calls after this time, so that clients spread over new workers; null: it stays.",
        None,
    )
    write_stall_s: Seconds = noted("A client that takes no answer is left after this time.", _GRPC.write_stall_s)
    min_read_kb_s: float = noted(
        "Slowest reading of an answer that is waited for, in kB a second, after `write_stall_s`; the calls of a "
        "connection share it.",
        _GRPC.min_read_kb_s,
        gt=0,
        le=1 << 20,
    )


class MetricsSection(Section):
    """Prometheus metrics of the whole session."""

    host: Host = noted("Address to listen on.", "127.0.0.1")
    port: Port | None = noted("Port of `/metrics`; 0 takes any free one, null serves none.", 8082)


class ControlSection(Section):
    """The control API: models, pools and features of the running session."""

    host: Host = noted(
        "Address to listen on. On a loopback address this machine reads without the token; elsewhere nobody does.",
        "127.0.0.1",
    )
    port: Port | None = noted("Port of the control API; 0 takes any free one, null serves none.", 8000)
    token_file: str | None = noted(
        "File with the token that every change needs; made with mode 0600 where it is missing. By default "
        "`control-token` in the state's folder.",
        None,
        min_length=1,
    )
