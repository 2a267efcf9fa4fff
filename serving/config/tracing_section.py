"""The section of traces: where they go, and which requests are traced."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from serving.config.secrets import hidden
from serving.config.section import Megabytes, Name, Seconds, Section, noted

# No blanks, nothing beyond ASCII, and neither a query nor a fragment, which would be lost.
_VISIBLE = re.compile(r"[!\"$->@-~]+")
_PERMITTED = "http://HOST:PORT or https://HOST:PORT"


def receiver_url(value: str) -> str:
    """The address of a receiver of OTLP over HTTP.

    Raises:
        PydanticCustomError: another scheme, no host or none that can be looked up, a query, or a password, which
            belongs into the file of headers.
    """
    try:
        at = urlsplit(value)
        host = at.hostname or ""
        fits = at.scheme in {"http", "https"} and bool(host) and "@" not in at.netloc and at.port != 0
        # Names of other alphabets are written as DNS has them (xn--...); the look-up encodes names this way.
        fits = fits and bool(_VISIBLE.fullmatch(value)) and bool(host.encode("idna"))
    except ValueError:
        fits = False
    if not fits:
        text = "{value} is no address of a receiver of traces; keys for it belong into the file of tracing.headers_file"
        raise PydanticCustomError("receiver_url", text, {"value": repr(hidden(value))})
    return value


ReceiverUrl = Annotated[str, AfterValidator(receiver_url), Field(json_schema_extra={"permitted": _PERMITTED})]


class TracingSection(Section):
    """OpenTelemetry traces of requests, sent by OTLP over HTTP."""

    endpoint: ReceiverUrl | None = noted(
        "Receiver of traces (an OpenTelemetry collector, Tempo, Jaeger), by OTLP over HTTP with protobuf; null traces "
        "nothing. Without a path it is asked at /v1/traces.",
        None,
    )
    headers_file: str | None = noted(
        "File with headers for the receiver, such as a key: one `name: value` a line.", None, min_length=1
    )
    sample: float = noted(
        "Share of the requests that are traced, of those whose caller does not say.", 0.01, ge=0, le=1
    )
    follow_callers: bool = noted(
        "Trace what callers trace (the flag of their traceparent), of their other requests only slow and failed ones.",
        default=True,
    )
    slow_ms: float | None = noted("Requests that took longer are traced; null: not for that.", 1_000.0, gt=0)
    failed: bool = noted("Requests that failed are traced; mistakes of callers are no failures.", default=True)
    max_per_s: float = noted(
        "Most traces that a worker makes in a second, and as many more of slow and failed requests.",
        100.0,
        ge=1,
        le=100_000,
    )
    queue_mb: Megabytes = noted("Spans of a worker that wait to be sent; what is beyond it is dropped.", 8.0, le=1_024)
    timeout_s: Seconds = noted("The receiver must take spans within this time.", 5.0)
    service: Name = noted(
        "Gateways are the service `<service>-gateway` in traces, replicas `<service>-pool`.", "sluice"
    )
