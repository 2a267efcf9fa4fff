"""The edge's bounds are what the configuration says."""

from __future__ import annotations

from dataclasses import fields

from serving.config.http_limits import http_limits
from serving.config.listeners import HttpSection
from serving.edge.http.limits import HttpLimits

# Where the process listens, how many of them there are, and what the session lets be changed: not the edge's own.
# Of the processes, of the queues behind all edges, and of the loop.
NOT_LIMITS = {"host", "port", "workers", "repository_api", "return_features", "max_queued_rows", "look_us"}


def test_every_setting_of_http_reaches_the_edge() -> None:
    limits = {field.name for field in fields(HttpLimits)}
    assert set(HttpSection.model_fields) - NOT_LIMITS <= limits


def test_a_setting_changes_its_limit_and_no_other() -> None:
    found = http_limits(HttpSection(idle_s=1.5, max_headers=9))
    expected = http_limits(HttpSection())
    assert (found.idle_s, found.max_headers) == (1.5, 9)
    assert found.max_body_bytes == expected.max_body_bytes == 64 << 20
