"""Where traces go is an address, and what is not says so without the key that it may hold."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from serving.config.tracing_section import TracingSection


@pytest.mark.parametrize(
    "endpoint", ["http://collector:4318", "https://otlp.example.com/v1/traces", "http://[::1]:4318"]
)
def test_an_address_of_a_receiver_is_taken(endpoint: str) -> None:
    assert TracingSection.model_validate({"endpoint": endpoint}).endpoint == endpoint


@pytest.mark.parametrize(
    "endpoint",
    [
        *("collector:4318", "grpc://collector:4317", "http://", "http://a:0", "http://a:b", "http://user:pass@a"),
        # What an HTTP client or a look-up of names would stumble over, each time that spans are sent.
        *(
            "http://hä :4318",
            "http://a b",
            "http://a..b",
            f"http://{'a' * 64}.b",
            "http://a/pä",
            "http://a/?b",
            "http://a#b",
        ),
    ],
)
def test_what_is_none_is_refused(endpoint: str) -> None:
    with pytest.raises(ValidationError, match="is no address of a receiver of traces") as refused:
        TracingSection.model_validate({"endpoint": endpoint})
    assert "pass@" not in refused.value.errors()[0]["msg"]


def test_nothing_is_traced_by_default() -> None:
    assert TracingSection().endpoint is None
